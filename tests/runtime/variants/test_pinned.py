"""Tests of what a deploy pins of a model's variants."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.variants.pinned import (
    MAX_BYTES,
    PinnedClass,
    PinnedCost,
    PinnedFile,
    PinnedForm,
    PinnedModel,
    PinnedRows,
    PinnedVariant,
    parse,
    pinned_from,
    render,
)
from runtime.variants.values import (
    CPU_PROVIDER,
    ORIGINAL,
)
from tests.runtime.variants.recorded import DIGEST, URI, assessment, variant


def test_the_variants_that_no_class_ranks_are_left_out() -> None:
    variants = [variant(each) for each in (ORIGINAL, "slow", "fast", "middle")]
    measured = assessment("intel", {ORIGINAL: 3.0, "middle": 2.0, "fast": 1.0}, chosen="fast")
    pinned = pinned_from(variants, [measured])
    assert [each.name for each in pinned.variants] == [ORIGINAL, "fast", "middle"]
    assert pinned.classes == {
        "intel": PinnedClass(
            ranking=("fast", "middle", ORIGINAL),
            costs={ORIGINAL: PinnedCost(0.0, 3.0), "middle": PinnedCost(0.0, 2.0), "fast": PinnedCost(0.0, 1.0)},
        )
    }


def test_a_variant_is_pinned_with_its_objects_and_its_proof() -> None:
    pinned = pinned_from([variant(ORIGINAL, prepared=1, files=1, reason="8 rows")], [])
    file, form = PinnedFile(f"{URI}.0", DIGEST), PinnedForm(f"{URI}.0.prepared", DIGEST)
    rows = PinnedRows("proven", "8 rows")
    assert pinned.original == PinnedVariant(
        ORIGINAL, CPU_PROVIDER, "float32", URI, DIGEST, files=(file,), prepared=(form,), rows=rows
    )


def test_without_an_assessment_only_the_original_is_pinned() -> None:
    pinned = pinned_from([variant(ORIGINAL), variant("fast")], [])
    assert [each.name for each in pinned.variants] == [ORIGINAL]
    assert pinned.classes == {}


def test_a_ranking_names_only_variants_that_exist() -> None:
    pinned = pinned_from([variant(ORIGINAL)], [assessment("intel", {ORIGINAL: 2.0, "gone": 1.0}, chosen="gone")])
    assert pinned.classes["intel"].ranking == (ORIGINAL,)


def test_of_several_assessments_of_a_class_the_newest_counts() -> None:
    variants = [variant(ORIGINAL), variant("fast")]
    newest = assessment("intel", {ORIGINAL: 1.0}, chosen=ORIGINAL, at="2026-02-02")
    oldest = assessment("intel", {ORIGINAL: 2.0, "fast": 1.0}, chosen="fast", at="2026-01-01")
    for assessments in ([newest, oldest], [oldest, newest]):
        assert pinned_from(variants, assessments).classes["intel"].ranking == (ORIGINAL,)


def test_a_model_without_its_original_cannot_be_pinned() -> None:
    with pytest.raises(ValueError, match="got fast; expected one with the name original"):
        pinned_from([variant("fast")], [])
    with pytest.raises(ValueError, match="got none"):
        pinned_from([], [])


def test_a_long_reason_is_shortened() -> None:
    pinned = pinned_from([variant(ORIGINAL, reason="x" * 1000)], [])
    assert pinned.original.rows == PinnedRows("proven", "x" * 197 + "...")


def test_uris_are_relative_to_the_folder_of_the_original() -> None:
    measured = assessment("intel", {ORIGINAL: 2.0, "fast": 1.0}, chosen="fast")
    text = render(pinned_from([variant(ORIGINAL, prepared=1, files=1), variant("fast")], [measured]))
    original, fast = json.loads(text)["variants"]
    assert original["uri"] == URI
    assert (original["files"][0]["uri"], original["prepared"][0]["uri"]) == ("m.onnx.0", "m.onnx.0.prepared")
    assert fast["uri"] == "m.onnx.variants/fast.onnx"


digests = st.text("0123456789abcdef", min_size=64, max_size=64)
folders = st.sampled_from(["s3://models/", "s3://models/team/a/", "/models/", "file:///models/", "", "models/"])
names = st.from_regex(r"[a-z][a-z0-9?. ]{0,9}", fullmatch=True)
costs = st.builds(PinnedCost, st.floats(0, 10), st.floats(0, 10))
rows = st.builds(PinnedRows, st.sampled_from(["proven", "refuted", "not_provable"]), st.text())


def tuples(each: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(each, max_size=2).map(tuple)


@st.composite
def pinned_models(draw: st.DrawFn) -> PinnedModel:
    folder = draw(folders)
    uris = st.builds(str.__add__, st.sampled_from([folder, "s3://elsewhere/"]), names)
    files = tuples(st.builds(PinnedFile, uris, digests))
    forms = tuples(st.builds(PinnedForm, uris, digests, files, st.none() | names, st.none() | names))
    own = [ORIGINAL, *draw(st.lists(names.filter(lambda name: name != ORIGINAL), max_size=3, unique=True))]
    variants = [
        draw(
            st.builds(
                PinnedVariant,
                st.just(name),
                names,
                st.none() | names,
                names.map(lambda each: folder + each) if name == ORIGINAL else uris,
                digests,
                files,
                forms,
                st.none() | rows,
            )
        )
        for name in own
    ]
    ranking = st.lists(st.sampled_from(own), unique=True).map(tuple)
    classes = st.builds(PinnedClass, ranking, st.dictionaries(st.sampled_from(own), costs))
    return PinnedModel(tuple(variants), draw(st.dictionaries(names, classes, max_size=2)))


@given(pinned_models())
def test_what_is_rendered_is_parsed_to_the_same(pinned: PinnedModel) -> None:
    assert parse(render(pinned)) == pinned


def test_the_json_is_short_ascii_without_default_values() -> None:
    assert render(pinned_from([variant(ORIGINAL, reason="ü\n")], [])) == (
        '{"variants":[{"name":"original","provider":"CPUExecutionProvider","precision":"float32",'
        f'"uri":"{URI}","sha256":"{DIGEST}","rows":{{"state":"proven","reason":"\\u00fc\\n"}}}}]}}'
    )


def test_of_too_many_variants_the_last_in_the_rankings_are_left_out() -> None:
    names = [f"v{n}" for n in range(100)]
    variants = [variant(each, files=3) for each in (ORIGINAL, *names)]
    measured = assessment("intel", {ORIGINAL: 200.0, **{name: n + 1 for n, name in enumerate(names)}}, chosen="v0")
    text = render(pinned_from(variants, [measured]))
    assert MAX_BYTES - 1024 < len(text) <= MAX_BYTES
    kept = parse(text)
    count = len(kept.variants)
    assert [each.name for each in kept.variants] == [ORIGINAL, *names[: count - 1]]
    assert kept.classes["intel"].ranking == (*names[: count - 1], ORIGINAL)
    assert set(kept.classes["intel"].costs) == set(kept.classes["intel"].ranking)


@pytest.mark.parametrize(("prepared", "files", "kept"), [(400, 2, (0, 2)), (400, 400, (0, 0))])
def test_an_original_with_too_many_objects_loses_prepared_forms_and_then_digests(
    prepared: int, files: int, kept: tuple[int, int]
) -> None:
    original = parse(render(pinned_from([variant(ORIGINAL, prepared=prepared, files=files)], []))).original
    assert (len(original.prepared), len(original.files)) == kept


def test_too_many_cpu_classes_are_left_out() -> None:
    assessments = [assessment(f"class-{n}", {ORIGINAL: 1.0}, chosen=ORIGINAL) for n in range(500)]
    assert parse(render(pinned_from([variant(ORIGINAL)], assessments))).classes == {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("[", "{"), r"Expecting"),
        (('"name":"original"', '"name":"other"'), r"variants\[0\].name: got 'other'; expected 'original'"),
        (('"name":"fast"', '"name":"original"'), r"variants: got .*; expected each name once"),
        (('["fast"', '["gone"'), r"classes.intel.ranking\[0\]: got 'gone'; expected one of original, fast"),
        (('"fixed"', '"other"'), r"classes.intel.costs.original.fixed: missing"),
        (('"proven"', '"perhaps"'), r"variants\[0\].rows.state: got 'perhaps'; expected one of proven, refuted"),
        (
            ('"fixed":', f'"fixed":1{"0" * 400},"was":'),
            r"classes.intel.costs.original.fixed: got 1000.*expected a number",
        ),
        (('"perRow":', '"perRow":-1,"was":'), r"classes.intel.costs.original.perRow: got -1; expected .* at least 0"),
        ((DIGEST, "abc"), r"variants\[0\].sha256: got 'abc'; expected 64"),
    ],
)
def test_the_error_for_wrong_json_has_the_field(change: tuple[str, str], message: str) -> None:
    measured = assessment("intel", {ORIGINAL: 2.0, "fast": 1.0}, chosen="fast")
    text = render(pinned_from([variant(ORIGINAL, reason="8 rows"), variant("fast")], [measured]))
    with pytest.raises(ValueError, match=message):
        parse(text.replace(*change))


@pytest.mark.parametrize("text", ["[]", "{}", '{"variants":[]}', "[" * 100_000])
def test_json_of_another_kind_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"variants|the document"):
        parse(text)


def test_unknown_fields_are_ignored() -> None:
    pinned = pinned_from([variant(ORIGINAL)], [])
    assert parse(json.dumps({**json.loads(render(pinned)), "later": 1})) == pinned


def test_a_variant_is_found_by_its_name() -> None:
    measured = assessment("intel", {ORIGINAL: 2.0, "fast": 1.0}, chosen="fast")
    pinned = pinned_from([variant(ORIGINAL), variant("fast")], [measured])
    assert pinned.named("fast") == pinned.variants[1]
    assert pinned.named("gone") is None
