"""Tests of the order in which a pod tries the variants of its model."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import BadSetting
from runtime.variants.choosing import LoadCandidate, LoadOrder, Passed, Serving, VersionOf, choose
from runtime.variants.names import CPU_PROVIDER, OPENVINO_PROVIDER, ORIGINAL
from runtime.variants.pinned import (
    PinnedClass,
    PinnedCost,
    PinnedFile,
    PinnedForm,
    PinnedModel,
    PinnedRows,
    PinnedVariant,
)

URI = "s3://models/m.onnx"
FOLDER = f"{URI}.variants/"
AMX, OLD = "intel-amx", "amd-avx2"
COST = PinnedCost(0.001, 0.002)


def variant(name: str, provider: str = CPU_PROVIDER, *forms: PinnedForm) -> PinnedVariant:
    uri = URI if name == ORIGINAL else f"{FOLDER}{name}.onnx"
    return PinnedVariant(name, provider, None, uri, name, prepared=forms)


def form(name: str, cpu_class: str | None = None, version: str | None = None) -> PinnedForm:
    return PinnedForm(f"{FOLDER}{name}", name, (), cpu_class, version)


def with_providers(**versions: str) -> VersionOf:
    return {CPU_PROVIDER: "1.24", **versions}.get


WITHOUT_OPENVINO, WITH_OPENVINO = with_providers(), with_providers(**{OPENVINO_PROVIDER: "1.8.1"})
PINNED = PinnedModel(
    (variant(ORIGINAL), variant("int8"), variant("int8-openvino", OPENVINO_PROVIDER)),
    {AMX: PinnedClass(("int8-openvino", "int8", ORIGINAL), {"int8": COST}), OLD: PinnedClass((ORIGINAL,))},
)


def names(order: LoadOrder) -> list[str]:
    return [each.title for each in order.candidates]


def test_on_a_measured_class_the_candidates_are_its_ranking() -> None:
    order = choose(PINNED, cpu_class=AMX, version_of=WITH_OPENVINO)
    assert names(order) == ["int8-openvino", "int8", ORIGINAL]
    assert order.reason == "the fastest first, as measured on intel-amx"
    assert choose(PINNED, cpu_class=OLD, version_of=WITH_OPENVINO).candidates == (LoadCandidate(),)


@pytest.mark.parametrize(
    ("classes", "reason"),
    [
        (PINNED.classes, "the CPU class arm was not measured; measured: amd-avx2, intel-amx"),
        ({}, "no CPU class was measured"),
    ],
)
def test_on_a_class_that_was_never_measured_the_original_is_the_only_candidate(
    classes: Mapping[str, PinnedClass], reason: str
) -> None:
    order = choose(PINNED._replace(classes=classes), cpu_class="arm", version_of=WITH_OPENVINO)
    assert order.candidates == (LoadCandidate(),)
    assert order.reason == reason


def test_a_provider_without_a_known_version_keeps_the_rank_of_its_variants_without_forms_for_a_version() -> None:
    forms = form("any"), form("version", None, "1.8.1")
    pinned = PinnedModel(
        (variant(ORIGINAL), variant("int8"), variant("fast", OPENVINO_PROVIDER, *forms)),
        {AMX: PinnedClass(("fast", "int8", ORIGINAL))},
    )
    order = choose(pinned, cpu_class=AMX, version_of=WITHOUT_OPENVINO)
    assert names(order) == ["fast (prepared)", "fast", "int8", ORIGINAL]


def test_the_prepared_forms_that_fit_come_before_the_own_file_and_those_of_the_class_first() -> None:
    forms = [form("general"), form("amx", AMX), form("old", OLD), form("newer", AMX, "1.9"), form("both", AMX, "1.8.1")]
    pinned = PinnedModel(
        (variant(ORIGINAL), variant("fast", OPENVINO_PROVIDER, *forms)), {AMX: PinnedClass(("fast", ORIGINAL))}
    )
    *fast, original = choose(pinned, cpu_class=AMX, version_of=WITH_OPENVINO).candidates
    assert [each.sha256 for each in fast] == ["amx", "both", "general", "fast"]
    assert [each.prepared for each in fast] == [True, True, True, False]
    assert {each.provider for each in fast} == {OPENVINO_PROVIDER}
    assert original == LoadCandidate()


def test_the_prepared_forms_of_the_original_come_before_the_artifact_on_every_class() -> None:
    pinned = PinnedModel((variant(ORIGINAL, CPU_PROVIDER, form("any"), form("amx", AMX), form("version", None, "1")),))
    assert [each.sha256 for each in choose(pinned, cpu_class="arm", version_of=WITH_OPENVINO).candidates] == [
        "any",
        None,
    ]


def test_the_version_of_a_provider_is_only_asked_if_a_form_needs_it() -> None:
    def version_of(provider: str) -> str | None:
        raise AssertionError(provider)

    pinned = PinnedModel((variant(ORIGINAL, CPU_PROVIDER, form("any")), variant("int8")), {AMX: PinnedClass(("int8",))})
    assert names(choose(pinned, cpu_class=AMX, version_of=version_of)) == ["int8", "original (prepared)", "original"]


def test_a_candidate_has_the_digests_the_proof_and_the_cost_of_its_variant() -> None:
    rows = PinnedRows("proven", "8 rows")
    data = (PinnedFile(f"{FOLDER}fast.onnx.data", "data"), PinnedFile(f"{FOLDER}sub/more", "more"))
    prepared = PinnedForm(f"{FOLDER}fast.prepared.onnx", "form", (PinnedFile(f"{FOLDER}fast.prepared.data", "fd"),))
    fast = PinnedVariant("fast", CPU_PROVIDER, "int8", f"{FOLDER}fast.onnx", "fast", data, (prepared,), rows)
    pinned = PinnedModel((variant(ORIGINAL), fast), {AMX: PinnedClass(("fast", ORIGINAL), {"fast": COST})})
    first, second, _ = choose(pinned, cpu_class=AMX, version_of=WITH_OPENVINO).candidates
    assert first == LoadCandidate(
        variant="fast",
        provider=CPU_PROVIDER,
        precision="int8",
        uri=prepared.uri,
        sha256="form",
        files={"fast.prepared.data": "fd"},
        prepared=True,
        rows=rows,
        cost=COST,
    )
    assert second == first._replace(
        uri=fast.uri, sha256="fast", files={"fast.onnx.data": "data", "sub/more": "more"}, prepared=False
    )


def test_the_file_of_the_original_is_the_artifact_of_the_settings_on_every_provider() -> None:
    openvino = PinnedVariant("openvino", OPENVINO_PROVIDER, "float32", URI, "a" * 64)
    pinned = PinnedModel((variant(ORIGINAL), openvino), {AMX: PinnedClass(("openvino", ORIGINAL))})
    first, _ = choose(pinned, cpu_class=AMX, version_of=WITH_OPENVINO).candidates
    assert (first.provider, first.uri, first.sha256) == (OPENVINO_PROVIDER, None, None)


def test_original_is_the_artifact_itself_without_its_prepared_form() -> None:
    pinned = PinnedModel((variant(ORIGINAL, CPU_PROVIDER, form("any")), variant("int8")), {AMX: PinnedClass(("int8",))})
    order = choose(pinned, cpu_class=AMX, version_of=WITH_OPENVINO, wanted=ORIGINAL)
    assert order == LoadOrder((LoadCandidate(),), "SCALEZERO_VARIANT is original")


def test_a_wanted_variant_comes_first_also_on_a_class_that_was_not_measured() -> None:
    order = choose(PINNED, cpu_class="arm", version_of=WITH_OPENVINO, wanted="int8")
    assert names(order) == ["int8", ORIGINAL]
    assert order.reason == "SCALEZERO_VARIANT is int8"


def test_every_model_has_the_variant_openvino() -> None:
    pinned = PinnedModel((variant(ORIGINAL, CPU_PROVIDER, form("any")),))
    order = choose(pinned, cpu_class=AMX, version_of=WITH_OPENVINO, wanted="openvino")
    assert order.candidates[0] == LoadCandidate("openvino", OPENVINO_PROVIDER)
    assert names(order)[1:] == ["original (prepared)", ORIGINAL]


def test_an_unknown_wanted_variant_is_refused_with_the_known_ones() -> None:
    with pytest.raises(BadSetting) as refused:
        choose(PINNED, cpu_class=AMX, version_of=WITH_OPENVINO, wanted="int4")
    assert str(refused.value) == (
        "SCALEZERO_VARIANT='int4': expected one of auto, original, int8, int8-openvino, openvino"
    )


def test_the_facts_of_what_is_served_leave_out_what_is_unknown() -> None:
    assert Serving().facts == {"variant": ORIGINAL, "provider": CPU_PROVIDER, "prepared": False}
    candidate = LoadCandidate("int8", precision="int8", uri="file:///models/m.onnx.variants/int8.onnx", prepared=True)
    passed = (Passed("fast", prepared=True, reason="gone"), Passed("fast", prepared=False, reason="damaged"))
    again = Passed("fast", prepared=True, reason="for another class")
    assert Serving(passed=(*passed, again)).facts["not_served"] == {
        "fast (prepared)": "gone; for another class",
        "fast": "damaged",
    }
    assert Serving(candidate, "measured", passed).facts == {
        "variant": "int8",
        "provider": CPU_PROVIDER,
        "precision": "int8",
        "prepared": True,
        "file": "int8.onnx",  # clients do not get its folder
        "choice": "measured",
        "not_served": {"fast (prepared)": "gone", "fast": "damaged"},
    }


@given(
    cpu_class=st.sampled_from([AMX, OLD, "arm"]),
    version_of=st.sampled_from([WITH_OPENVINO, WITHOUT_OPENVINO]),
    wanted=st.sampled_from(["auto", ORIGINAL, "int8", "int8-openvino", "openvino"]),
)
def test_the_last_candidate_is_always_the_artifact_itself(cpu_class: str, version_of: VersionOf, wanted: str) -> None:
    *others, last = choose(PINNED, cpu_class=cpu_class, version_of=version_of, wanted=wanted).candidates
    assert last == LoadCandidate()
    assert all(each != last for each in others)
