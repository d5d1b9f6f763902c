"""The candidates of a load are tried in order, with real objects in S3 and real sessions."""

import asyncio
import dataclasses
import logging
import resource
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper
from onnxruntime.quantization import quantize_dynamic

from runtime import loading
from runtime.artifacts.cache import hash_file
from runtime.background import Background
from runtime.batching.independence import State
from runtime.errors import (
    AccessDenied,
    ArtifactMissing,
    BadSetting,
    CredentialsMissing,
    DigestMismatch,
    DiskFull,
    InvalidModel,
    ModelUnavailable,
    ProviderUnavailable,
    ShuttingDown,
    StoreStalled,
    StoreUnreachable,
)
from runtime.loading import Pulled, is_refusal, puller
from runtime.model import providers
from runtime.model.compiling import compile_model
from runtime.predictor import predict
from runtime.served_model import ProcessStart, ServedModel
from runtime.settings import Settings
from runtime.tensors import Query
from runtime.variants.cpu_class import cpu_class
from runtime.variants.names import CPU_PROVIDER, OPENVINO_PROVIDER, ORIGINAL
from runtime.variants.pinned import PinnedCost, PinnedForm, PinnedModel, PinnedRows, PinnedVariant
from tests import models
from tests.runtime.faulty_s3 import Fault
from tests.runtime.published_model import WIDTH, Published, times
from tests.waiting import DEADLINE

FAST = "m.onnx.variants/fast.onnx"


def pull(settings: Settings) -> Pulled:
    return puller(str(settings.model_uri), settings)()


def with_model(settings: Settings, scenario: Callable[[ServedModel], Coroutine[Any, Any, None]]) -> None:
    """Run the scenario with a model that is not loaded, then close it."""

    async def run_scenario() -> None:
        now = time.perf_counter()
        background = Background()
        process = ProcessStart(now, now)
        served = ServedModel("m", settings, puller(str(settings.model_uri), settings), process, background)
        await scenario(served)
        await served.close()
        await background.close(within=10)

    asyncio.run(run_scenario())


async def factor(served: ServedModel) -> float:
    """Return the factor of the model that answers."""
    answer = await predict(await served.load(), Query([np.ones((1, WIDTH), np.float32)]))
    return float(np.asarray(answer.outputs[0])[0, 0])


def served_factor(settings: Settings) -> tuple[float, list[tuple[str, str]]]:
    """Load the model; return its factor, and the candidates that are not served, with the reasons."""
    found: list[tuple[float, list[tuple[str, str]]]] = []

    async def scenario(served: ServedModel) -> None:
        answer = await factor(served)
        assert served.ready is not None
        found.append((answer, [(each.title, each.reason) for each in served.ready.serving.passed]))

    with_model(settings, scenario)
    return found[0]


def warnings(caplog: pytest.LogCaptureFixture) -> list[Any]:
    return [each for each in caplog.records if each.levelno == logging.WARNING]


def test_the_first_candidate_is_pulled_and_nothing_else(published: Published) -> None:
    pinned = published.pinned(published.original(), published.variant("fast", 3))
    assert served_factor(published.settings(pinned)) == (3.0, [])
    assert published.pulled() == [FAST]


def test_without_variants_the_artifact_is_the_only_candidate(published: Published) -> None:
    published.original()
    assert served_factor(published.settings(None)) == (2.0, [])
    assert published.pulled() == ["m.onnx"]


def test_a_served_variant_is_described_with_its_file_and_the_digest_of_the_artifact(published: Published) -> None:
    pinned = published.pinned(published.original(), published.variant("fast", 3))
    pulled = pull(published.settings(pinned))
    assert pulled.serving.artifact_sha256 == pinned.original.sha256
    assert pulled.serving.facts == {
        "variant": "fast",
        "provider": CPU_PROVIDER,
        "precision": "int8",
        "prepared": False,
        "file": f"s3://{published.bucket}/{FAST}",
        "choice": f"the fastest first, as measured on {cpu_class()}",
    }
    assert pull(published.settings(pinned, variant=ORIGINAL)).serving.artifact_sha256 is None


def test_on_a_class_that_was_not_measured_the_original_is_served(published: Published) -> None:
    pinned = published.pinned(published.original(), published.variant("fast", 3))
    pinned = pinned._replace(classes={"riscv64": pinned.classes[cpu_class()]})
    pulled = pull(published.settings(pinned))
    assert pulled.serving.candidate.variant == ORIGINAL
    assert pulled.serving.reason == f"the CPU class {cpu_class()} was not measured; measured: riscv64"
    assert published.pulled() == ["m.onnx"]


def test_a_prepared_form_is_pulled_with_its_external_data(published: Published) -> None:
    pinned = published.pinned(published.original(published.form("original", 5)), published.variant("fast", 3))
    pinned = pinned._replace(classes={})
    assert served_factor(published.settings(pinned)) == (5.0, [])
    assert [name.rpartition("/")[2] for name in published.pulled()] == [
        "original.prepared.onnx",
        "m.onnx.variants-original.prepared.onnx.data",
    ]


def break_nothing(_: Published, variant: PinnedVariant) -> PinnedVariant:
    return variant


def remove(published: Published, variant: PinnedVariant) -> PinnedVariant:
    published.s3.client().delete_object(Bucket=published.bucket, Key=FAST)
    return variant


def forbid(published: Published, variant: PinnedVariant) -> PinnedVariant:
    published.faulty.add(Fault(path=FAST, status=403, code="AccessDenied"))
    return variant


def replace_object(published: Published, variant: PinnedVariant) -> PinnedVariant:
    published.s3.put(variant.uri, b"another object")
    return variant


def no_model(published: Published, variant: PinnedVariant) -> PinnedVariant:
    return variant._replace(sha256=published.store(FAST, b"no model").sha256)


def no_provider(_: Published, variant: PinnedVariant) -> PinnedVariant:
    return variant._replace(provider="AnotherExecutionProvider")


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (remove, "there is no such object"),
        (forbid, "the store answered 403 AccessDenied"),
        (replace_object, "its SHA-256 is"),
        (no_model, "it is not an ONNX model but a text file"),
        (no_provider, "AnotherExecutionProvider cannot be used: it is not installed"),
    ],
)
def test_a_refused_candidate_is_followed_by_the_next_with_one_warning(
    published: Published,
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[Published, PinnedVariant], PinnedVariant],
    reason: str,
) -> None:
    original, fast = published.original(), damage(published, published.variant("fast", 3))
    answer, passed = served_factor(published.settings(published.pinned(original, fast, published.variant("next", 4))))
    assert answer == 4.0
    assert [title for title, _ in passed] == ["fast"]
    assert reason in passed[0][1]
    (warning,) = warnings(caplog)
    assert (warning.variant, warning.next, warning.reason) == ("fast", "next", passed[0][1])


def test_variants_that_rank_below_the_served_one_are_not_named(
    published: Published, caplog: pytest.LogCaptureFixture
) -> None:
    fast, slower = published.variant("fast", 3), no_provider(published, published.variant("slower", 4))
    assert served_factor(published.settings(published.pinned(published.original(), fast, slower))) == (3.0, [])
    assert warnings(caplog) == []


def test_nothing_is_pulled_for_a_provider_that_is_not_installed(published: Published) -> None:
    fast = no_provider(published, published.variant("fast", 3, published.form("fast", 5)))
    pulled = pull(published.settings(published.pinned(published.original(), fast)))
    assert [each.title for each in pulled.serving.passed] == ["fast (prepared)", "fast"]
    assert published.pulled() == ["m.onnx"]


def test_a_provider_whose_library_cannot_be_loaded_is_followed_by_the_next(
    published: Published, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a CPU that is not Intel's, the library is loaded, but offers no device."""
    library = tmp_path / "plugin.so"
    library.write_bytes(b"no library")
    monkeypatch.setenv("SCALEZERO_OPENVINO_LIBRARY", str(library))
    monkeypatch.setattr("runtime.model.providers._registered", {})
    pinned = published.pinned(published.original(), published.variant("fast", 3, provider=OPENVINO_PROVIDER))
    answer, passed = served_factor(published.settings(pinned))
    assert answer == 2.0
    assert [title for title, _ in passed] == ["fast"]
    assert passed[0][1].startswith("OpenVINOExecutionProvider cannot be used: its library cannot be loaded")


def test_openvino_serves_where_it_has_a_device(published: Published, openvino: str) -> None:
    pinned = published.pinned(published.original(), published.variant("fast", 3, provider=openvino))
    assert served_factor(published.settings(pinned)) == (3.0, [])


def test_a_compiled_model_is_served_with_its_external_file(published: Published, tmp_path: Path, openvino: str) -> None:
    fast = published.variant("fast", 3, provider=openvino)
    compiled = compile_model(
        tmp_path / "m.onnx.variants-fast.onnx",
        tmp_path / "fast.compiled.onnx",
        uri="fast",
        provider=openvino,
        threads=1,
    )
    files = [published.store(f"m.onnx.variants/{each.name}", each.read_bytes()) for each in compiled.files]
    uri, digest = published.store("m.onnx.variants/fast.compiled.onnx", compiled.model.read_bytes())
    form = PinnedForm(uri, digest, tuple(files), cpu_class(), providers.version_of(openvino))
    pinned = published.pinned(published.original(), fast._replace(prepared=(form,)))
    pulled = pull(published.settings(pinned))
    assert pulled.serving.candidate.prepared
    assert served_factor(published.settings(pinned)) == (3.0, [])


@pytest.fixture(scope="session")
def quantized(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A layer of real size, and the same with int8 weights."""
    folder = tmp_path_factory.mktemp("quantized")
    shape = ("batch", 64)
    original = models.save(
        folder / "layer.onnx",
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        [models.value("x", models.FLOAT, shape)],
        [models.value("y", models.FLOAT, shape)],
        w=np.random.default_rng(0).standard_normal((64, 64)).astype(np.float32),
    )
    quantize_dynamic(original, folder / "int8.onnx")
    return original, folder / "int8.onnx"


def test_a_quantized_variant_answers_nearly_as_the_original(published: Published, quantized: tuple[Path, Path]) -> None:
    original, int8 = (
        PinnedVariant(name, CPU_PROVIDER, precision, *published.store(f"{name}.onnx", path.read_bytes()))
        for name, precision, path in zip((ORIGINAL, "int8"), ("float32", "int8"), quantized, strict=True)
    )
    pinned = published.pinned(original, int8)
    x = np.random.default_rng(1).standard_normal((4, 64)).astype(np.float32)
    answers: list[np.ndarray] = []

    async def scenario(served: ServedModel) -> None:
        answers.append(np.asarray((await predict(await served.load(), Query([x]))).outputs[0]))

    for wanted in ("auto", ORIGINAL):
        settings = dataclasses.replace(published.settings(pinned, variant=wanted), model_uri=original.uri)
        with_model(settings, scenario)
    fast, right = answers
    assert not np.array_equal(fast, right)
    assert np.abs(fast - right).max() < 0.05 * np.abs(right).max()


def test_external_data_with_another_digest_is_refused(published: Published) -> None:
    form = published.form("fast", 5)
    published.s3.put(form.files[0].uri, b"\0" * 16)
    pinned = published.pinned(published.original(), published.variant("fast", 3, form))
    answer, passed = served_factor(published.settings(pinned))
    assert answer == 3.0
    assert [title for title, _ in passed] == ["fast (prepared)"]
    assert "its SHA-256 is" in passed[0][1]


def test_a_variant_whose_first_run_fails_is_followed_by_the_next(published: Published, tmp_path: Path) -> None:
    fast = published.variant("fast", 3)
    rejecting = published.store(FAST, rejecting_zeros(tmp_path / "rejecting.onnx").read_bytes())
    pinned = published.pinned(published.original(), fast._replace(sha256=rejecting.sha256))
    answer, passed = served_factor(published.settings(pinned))
    assert answer == 2.0
    assert [title for title, _ in passed] == ["fast"]
    assert "its first run failed: " in passed[0][1]


def test_the_original_may_reject_the_input_of_the_warm_up_also_in_its_prepared_form(
    published: Published, tmp_path: Path
) -> None:
    body = rejecting_zeros(tmp_path / "rejecting.onnx").read_bytes()
    form = PinnedForm(*published.store("m.onnx.variants/form.onnx", body))
    answer, passed = served_factor(published.settings(published.pinned(published.original(form))))
    assert (answer, passed) == (1.0, [])


def rejecting_zeros(path: Path) -> Path:
    """Write a model `y` = `x`, float32 [batch, 4], that looks for a row 1 in a table of one row if `x` is not 1."""
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["most"], keepdims=0),
        helper.make_node("Cast", ["most"], ["found"], to=models.INT64),
        helper.make_node("Sub", ["one", "found"], ["place"]),
        helper.make_node("Gather", ["table", "place"], ["row"], axis=0),
        helper.make_node("Mul", ["x", "row"], ["y"]),
    ]
    ends = [models.value(name, models.FLOAT, ("batch", WIDTH)) for name in "xy"]
    constants: dict[str, np.ndarray] = {"one": np.array(1, np.int64), "table": np.ones((1, WIDTH), np.float32)}
    return models.save(path, nodes, ends[:1], ends[1:], **constants)


def test_a_variant_that_the_disk_has_no_room_for_is_followed_by_the_original(published: Published) -> None:
    original, fast = published.original(), published.variant("fast", 3)
    large = fast._replace(sha256=published.store(FAST, bytes(300 * 2**10)).sha256)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100 * 2**10, hard))
    try:
        pulled = pull(published.settings(published.pinned(original, large)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert pulled.serving.candidate.variant == ORIGINAL
    assert "the cache has too little space" in pulled.serving.passed[0].reason


def test_several_refusals_lead_to_the_original(published: Published) -> None:
    form = PinnedForm(f"s3://{published.bucket}/gone.onnx", "a" * 64)
    broken = no_model(published, published.variant("fast", 3, form))
    gone = PinnedVariant("gone", CPU_PROVIDER, None, f"s3://{published.bucket}/gone2.onnx", "b" * 64)
    answer, passed = served_factor(published.settings(published.pinned(published.original(form), broken, gone)))
    assert answer == 2.0
    assert [title for title, _ in passed] == ["fast (prepared)", "fast", "gone", "original (prepared)"]


def test_the_last_error_is_that_of_the_original(published: Published) -> None:
    pinned = published.pinned(published.original(), no_model(published, published.variant("fast", 3)))
    published.s3.put(published.uri, b"another object")
    with pytest.raises(DigestMismatch, match=r"m.onnx: its SHA-256"):
        served_factor(published.settings(pinned))


def test_the_next_attempt_begins_with_the_first_candidate(published: Published) -> None:
    pinned = published.pinned(published.original(), published.variant("fast", 3))
    for path in ("m.onnx", FAST):
        published.faulty.add(Fault(path=path, status=404, code="NoSuchKey"))

    async def scenario(served: ServedModel) -> None:
        with pytest.raises(ArtifactMissing, match=r"m.onnx: there is no such object"):
            await served.load()
        published.faulty.heal()
        assert await factor(served) == 3.0

    with_model(published.settings(pinned), scenario)


@pytest.mark.parametrize(
    ("fault", "limits", "error"),
    [
        (Fault(path=FAST, status=503), {"load_timeout": 1.0}, StoreUnreachable),
        (Fault(path=FAST, stall_after=-1), {"stall_timeout": 0.2, "load_timeout": 1.0}, StoreStalled),
        (Fault(path=FAST, status=403, code="ExpiredToken"), {}, CredentialsMissing),
    ],
)
def test_an_unreachable_store_is_no_reason_to_try_the_next(
    published: Published, fault: Fault, limits: dict[str, float], error: type[ModelUnavailable]
) -> None:
    pinned = published.pinned(published.original(), published.variant("fast", 3))
    published.faulty.add(fault)
    with pytest.raises(error):
        pull(published.settings(pinned, **limits))
    assert published.pulled() == []


def test_a_refusal_is_a_fact_that_a_second_attempt_would_meet_again() -> None:
    uri = "s3://b/m.onnx"
    for refusal in (
        AccessDenied(uri, "no"),
        ArtifactMissing(uri, "gone"),
        DigestMismatch(uri, expected="a", got="b"),
        DiskFull(uri, "full"),
        InvalidModel(uri, "broken"),
        ProviderUnavailable(OPENVINO_PROVIDER, "no device"),
        RuntimeError("a library"),
    ):
        assert is_refusal(refusal)
    for other in (StoreUnreachable(uri, "down"), ModelUnavailable(uri, "late"), ShuttingDown()):
        assert not is_refusal(other)


def test_the_load_timeout_bounds_all_candidates_together(published: Published, monkeypatch: pytest.MonkeyPatch) -> None:
    pinned = published.pinned(published.original(), published.variant("fast", 3))
    pulled = pull(published.settings(pinned, load_timeout=DEADLINE))
    assert pulled.pull_next is not None
    monkeypatch.setattr(loading, "perf_counter", lambda: time.perf_counter() + DEADLINE)
    with pytest.raises(ModelUnavailable, match="SCALEZERO_LOAD_TIMEOUT ended before the variant original was pulled"):
        pulled.pull_next(InvalidModel(published.uri, "refused"))


def test_an_error_of_a_library_is_described_without_its_text(
    published: Published, caplog: pytest.LogCaptureFixture
) -> None:
    pinned = published.pinned(published.original(), published.variant("fast", 3))
    pulled = pull(published.settings(pinned))
    assert pulled.pull_next is not None
    following = pulled.pull_next(RuntimeError("/secret/path"))
    assert [each.reason for each in following.serving.passed] == ["RuntimeError while it was opened"]
    assert warnings(caplog)[0].exc_info[1].args == ("/secret/path",)
    assert following.pull_next is None


def test_variants_of_another_artifact_are_ignored(published: Published) -> None:
    pinned = published.pinned(published.original(), published.variant("fast", 3))
    uri, digest, _ = published.put("other.onnx", 7)
    settings = published.settings(pinned)
    assert (
        puller(uri, Settings(cache_dir=settings.cache_dir, variants=pinned, model_sha256=digest))().artifact.uri == uri
    )


def test_variants_of_another_file_than_the_required_one_are_ignored(
    published: Published, caplog: pytest.LogCaptureFixture
) -> None:
    pinned = published.pinned(published.original(published.form("original", 5)), published.variant("fast", 3))
    settings = published.settings(pinned)
    with pytest.raises(DigestMismatch, match=r"m.onnx: its SHA-256"):
        pull(dataclasses.replace(settings, model_sha256="f" * 64))
    assert published.pulled() == ["m.onnx"]
    (warning,) = warnings(caplog)
    assert warning.reason == (
        f"they are those of a file with the SHA-256 {pinned.original.sha256}; SCALEZERO_MODEL_SHA256 is {'f' * 64}"
    )


def test_the_required_digest_is_compared_in_every_spelling(published: Published) -> None:
    pinned = published.pinned(published.original(), published.variant("fast", 3))
    required = f"SHA256:{pinned.original.sha256.upper()}"
    pulled = pull(dataclasses.replace(published.settings(pinned), model_sha256=required))
    assert pulled.serving.candidate.variant == "fast"
    assert pulled.serving.artifact_sha256 == pinned.original.sha256


def test_a_version_of_the_artifact_has_its_variants(published: Published) -> None:
    pinned = published.pinned(published.original(), published.variant("fast", 3))
    settings = published.settings(pinned)
    assert puller(f"{published.uri}?versionId=1", settings)().serving.candidate.variant == "fast"


def test_a_wanted_variant_is_served_on_every_class(published: Published) -> None:
    pinned = published.pinned(published.original(), published.variant("fast", 3))._replace(classes={})
    assert served_factor(published.settings(pinned, variant="fast")) == (3.0, [])
    assert served_factor(published.settings(pinned, variant=ORIGINAL)) == (2.0, [])


@pytest.mark.parametrize("pins", [True, False])
def test_an_unknown_wanted_variant_is_an_error(published: Published, pins: bool) -> None:  # noqa: FBT001 - a parameter
    pinned = published.pinned(published.original()) if pins else None
    with pytest.raises(BadSetting, match="SCALEZERO_VARIANT='int4': expected one of auto, original, openvino"):
        pull(published.settings(pinned, variant="int4"))


def test_a_local_model_can_be_served_on_openvino(tmp_path: Path) -> None:
    path = times(tmp_path / "m.onnx", 2)
    answer, passed = served_factor(Settings(model_uri=str(path), variant="openvino", threads=1))
    assert answer == 2.0
    assert all(each.startswith("OpenVINOExecutionProvider") for _, each in passed)


def test_the_published_proof_decides_whether_runs_are_shared(published: Published) -> None:
    rows = PinnedRows("proven", "8 rows of calibration.npz had the same outputs")
    pinned = PinnedModel((published.original(rows=rows),))

    async def scenario(served: ServedModel) -> None:
        status = (await served.load()).batcher.batching
        assert status.state is State.PROVEN
        assert status.reason == "when it was published: 8 rows of calibration.npz had the same outputs"

    with_model(published.settings(pinned), scenario)


def burst_rows(settings: Settings, requests: int = 8) -> list[float]:
    """Load the model, send requests at the same time, and return the rows of each run."""
    rows: list[float] = []

    async def scenario(served: ServedModel) -> None:
        ready = await served.load()
        sent = (Query([np.full((1, WIDTH), number, np.float32)]) for number in range(requests))
        answers = await asyncio.gather(*(predict(ready, each) for each in sent))
        assert [float(np.asarray(each.outputs[0])[0, 0]) for each in answers] == [2.0 * n for n in range(requests)]
        runs = [*served.measurements._runs]
        rows.extend(each.rows for each in runs)

    with_model(settings, scenario)
    return rows


def test_with_a_published_proof_the_first_burst_shares_runs(published: Published) -> None:
    original = published.original()
    assert burst_rows(published.settings(PinnedModel((original,)))) == [1] * 8
    proven = original._replace(rows=PinnedRows("proven", "8 rows"))
    assert burst_rows(published.settings(PinnedModel((proven,)))) == [8]
    assert burst_rows(published.settings(PinnedModel((proven,)), batching="never")) == [1] * 8
    refuted = original._replace(rows=PinnedRows("refuted", "neighbours change a row"))
    assert burst_rows(published.settings(PinnedModel((refuted,)))) == [1] * 8


def test_a_shared_run_with_a_wrong_number_of_rows_refutes_the_published_proof(tmp_path: Path) -> None:
    path = models.every_second_row(tmp_path / "m.onnx")
    wrong = PinnedRows("proven", "a proof that is wrong")
    pinned = PinnedModel((PinnedVariant(ORIGINAL, CPU_PROVIDER, None, str(path), hash_file(path), rows=wrong),))

    async def scenario(served: ServedModel) -> None:
        ready = await served.load()
        assert ready.batcher.shares
        sent = [np.full((1, 2), number, np.float32) for number in range(4)]
        answers = await asyncio.gather(*(predict(ready, Query([each])) for each in sent))
        for each, answer in zip(sent, answers, strict=True):
            np.testing.assert_array_equal(np.asarray(answer.outputs[0]), each)
        assert ready.batcher.batching.state is State.REFUTED

    with_model(Settings(model_uri=str(path), threads=1, variants=pinned), scenario)


def test_the_batcher_begins_with_the_measured_cost_of_the_served_variant(published: Published) -> None:
    costs = {"fast": PinnedCost(0.004, 0.001), ORIGINAL: PinnedCost(9.0, 9.0)}
    pinned = published.pinned(published.original(), published.variant("fast", 3), costs=costs)

    async def scenario(served: ServedModel) -> None:
        cost = (await served.load()).batcher.cost
        assert cost.line().predict(32) == pytest.approx(0.036, rel=0.2)
        assert cost.typical > 0.002  # so that an idle session may wait for more requests
        for _ in range(30):
            cost.learn(32, 0.001)
        assert cost.line().predict(32) < 0.005

    with_model(published.settings(pinned), scenario)


def test_the_log_of_a_ready_model_names_the_variant_and_the_refusals(
    published: Published, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    pinned = published.pinned(published.original(), remove(published, published.variant("fast", 3)))
    served_factor(published.settings(pinned))
    ready = next(each for each in caplog.records if each.message == "model ready")
    facts = ready.__dict__
    assert (facts["variant"], facts["provider"], facts["cpu_class"]) == (ORIGINAL, CPU_PROVIDER, cpu_class())
    assert facts["choice"] == f"the fastest first, as measured on {cpu_class()}"
    assert facts["sha256"] == pinned.original.sha256
    assert list(facts["not_served"]) == ["fast"]
    assert facts["not_served"]["fast"].startswith(f"s3://{published.bucket}/{FAST}: there is no such object")
