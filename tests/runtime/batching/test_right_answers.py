"""Each caller gets the answer for its own rows: real models, concurrent callers, compared with ONNX Runtime."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from functions.payment_model.train import TrainedModel, sample, train
from runtime.batching.independence import State
from runtime.predictor import ReadyModel
from tests import models
from tests.runtime import independence_models as zoo
from tests.runtime.batching.serving import compare, concurrent, serving, settled

CALLERS = 8
F32 = np.float32
Request = Sequence[np.ndarray]


def loud(*shape: int, seed: int) -> np.ndarray:
    """Return random floats whose scale depends on the seed: callers differ by six orders of magnitude."""
    random = np.random.default_rng(seed)
    return (random.standard_normal(shape) * 10.0 ** (seed % 7 - 3)).astype(F32)


def request(name: str, seed: int) -> Request:
    """Return the request of one caller of this model."""
    random = np.random.default_rng(seed)
    rows = 1 + seed * 7 % 50
    if name == "counts":
        return [np.array([[seed % 4]], F32)]
    if name == "boxes":
        return [(random.random((1, 1, 4, 4)) > (0.8 if seed % 3 else 1.0)).astype(F32)]
    if name in {"smooth", "denoise"}:
        return [loud(64 if seed % 2 else 40, seed=seed)]
    if name in {"best", "verdict"}:
        return [random.integers(0, 30, (rows, 1)).astype(F32)]
    return [loud(1 + seed % 3, 3, seed=seed)]


def tokens(seed: int) -> Request:
    """Return token ids of one length; the mask has only ones in every request."""
    random = np.random.default_rng(seed)
    return [random.integers(0, 20, (1, 6)), np.ones((1, 6), np.int64)]


def waves(make: Callable[[int], Request], count: int = 5) -> list[list[Request]]:
    """Return waves of requests from concurrent callers; the first wave is one request."""
    return [[make(0)], *([make(100 * wave + caller) for caller in range(CALLERS)] for wave in range(count))]


@pytest.mark.parametrize("batch_size", [32, 1])
@pytest.mark.parametrize("name", list(zoo.DEPENDENT))
def test_with_dependent_rows_each_caller_gets_the_answer_of_a_separate_run(
    tmp_path: Path, name: str, batch_size: int
) -> None:
    path = zoo.DEPENDENT[name](tmp_path / "m.onnx")

    async def scenario(model: ReadyModel) -> None:
        await compare(model, waves(lambda seed: request(name, seed)), tolerance=1e-5)
        assert not model.batcher.shares
        assert model.batcher.batching.reason

    serving(path, scenario, batch_size=batch_size)


@pytest.mark.parametrize("name", ["smooth", "denoise", "best", "mean"])
@pytest.mark.parametrize("rows", [33, 64, 200])
def test_a_long_first_axis_is_not_split_without_a_proof(tmp_path: Path, name: str, rows: int) -> None:
    path = zoo.DEPENDENT[name](tmp_path / "m.onnx")
    shape = {"smooth": (rows,), "denoise": (rows,), "best": (rows, 1), "mean": (rows, 3)}[name]

    async def scenario(model: ReadyModel) -> None:
        for seed in range(4):
            await compare(model, [[[loud(*shape, seed=seed)]]], tolerance=1e-5)
        assert not model.batcher.shares

    serving(path, scenario)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, TrainedModel]:
    """Train both versions of payment-model."""
    out = tmp_path_factory.mktemp("models")
    return {version: train(version, out, payments=2_000) for version in ("1.0.0", "2.0.0")}


async def proven(model: ReadyModel, make: Callable[[int], Request], **tolerances: float) -> None:
    """Prove the rows with callers; then check that runs are shared and each caller gets its own rows."""
    await compare(model, waves(make, 2), **tolerances)
    assert await settled(model) is State.PROVEN, model.batcher.batching
    sizes: list[int] = []
    model.batcher._on_run = lambda run: sizes.append(len(run.tickets))
    await compare(model, waves(make, 3), **tolerances)
    assert max(sizes) > 1


@pytest.mark.parametrize("version", ["1.0.0", "2.0.0"])
def test_payment_model_shares_runs(trained: Mapping[str, TrainedModel], version: str) -> None:
    features = sample(400, seed=5).features

    async def scenario(model: ReadyModel) -> None:
        # A score is 1 - p in version 1: the smallest scores have few exact digits because of rounding near 1.
        await proven(model, lambda seed: [features[seed % 390 : seed % 390 + 1 + seed % 3]], step=1e-6)

    serving(trained[version].path, scenario)


@pytest.mark.parametrize("version", ["1.0.0", "2.0.0"])
def test_usual_requests_of_payment_model_run_on_the_loop(trained: Mapping[str, TrainedModel], version: str) -> None:
    async def scenario(model: ReadyModel) -> None:
        model.batcher.record_warm_up(0.0001)  # independent of the load of this machine
        for _ in range(5):
            await concurrent(model, [[np.ones((1, 30), F32)]])
        assert model.batcher._worker._thread is None

    serving(trained[version].path, scenario)


@pytest.mark.parametrize(
    ("make", "ask", "step"),
    [
        (models.doubling, lambda seed: [loud(1 + seed % 2, 2, seed=seed)], 0.0),
        (models.lookup, lambda seed: [np.array([seed % 10])], 0.0),
        (models.two_in_two_out, lambda seed: [loud(1, 2, seed=seed), loud(1, 2, seed=seed + 1)], 0.0),
        (zoo.generated_names, lambda seed: [loud(1, 2, seed=seed), loud(1, 2, seed=seed + 1)], 0.0),
        (zoo.cnn, lambda seed: [loud(1, 3, 8, 8, seed=seed)], 0.0),
        (zoo.static_quantized, lambda seed: [loud(1, 8, seed=seed)], 0.126),
        (zoo.attention, tokens, 0.0),
    ],
)
def test_models_whose_rows_are_independent_share_runs(
    tmp_path: Path, make: Callable[[Path], Path], ask: Callable[[int], Request], step: float
) -> None:
    async def scenario(model: ReadyModel) -> None:
        await proven(model, ask, step=step)

    serving(make(tmp_path / "m.onnx"), scenario)


def test_equal_requests_prove_models_of_floats_and_of_integers(tmp_path: Path) -> None:
    async def scenario(model: ReadyModel) -> None:
        await proven(model, lambda _: [np.ones((1, 6), np.int64), np.ones((1, 6), np.int64)])

    serving(zoo.attention(tmp_path / "m.onnx"), scenario)


def test_equal_requests_do_not_prove_dependent_rows(tmp_path: Path) -> None:
    async def scenario(model: ReadyModel) -> None:
        await compare(model, waves(lambda _: [np.array([[3.0]], F32)], 3))
        assert not model.batcher.shares

    serving(zoo.best(tmp_path / "m.onnx"), scenario)


def test_a_single_caller_starts_no_proof(tmp_path: Path) -> None:
    async def scenario(model: ReadyModel) -> None:
        for seed in range(20):
            await concurrent(model, [[loud(1, 2, seed=seed)]])
        assert model.batcher.batching.state is State.UNPROVEN
        assert model.batcher._prover._proving is None

    serving(models.doubling(tmp_path / "m.onnx"), scenario)


def test_a_long_request_proves_its_rows_and_the_next_runs_in_parts(tmp_path: Path) -> None:
    sizes: list[int] = []

    async def scenario(model: ReadyModel) -> None:
        await compare(model, [[[loud(20, 2, seed=1)]]])
        assert await settled(model) is State.PROVEN
        await compare(model, [[[loud(20, 2, seed=2)]]])

    serving(models.doubling(tmp_path / "m.onnx"), scenario, batch_size=8, report=lambda run: sizes.append(run.rows))
    assert sizes == [20, 8, 8, 4]


@pytest.mark.parametrize("batch_size", [2, 3, 4, 5])
@pytest.mark.parametrize(
    ("make", "independent"), [(models.doubling, True), (models.running_sum, False), (models.share, False)]
)
def test_a_proof_works_with_small_batches(
    tmp_path: Path,
    make: Callable[[Path], Path],
    batch_size: int,
    independent: bool,  # noqa: FBT001 - a parameter of the table
) -> None:
    async def scenario(model: ReadyModel) -> None:
        await compare(model, waves(lambda seed: [loud(1, 2, seed=seed)], 3))
        assert await settled(model) is (State.PROVEN if independent else State.REFUTED)

    serving(make(tmp_path / "m.onnx"), scenario, batch_size=batch_size)


def test_the_setting_overrides_the_proof_both_ways(tmp_path: Path) -> None:
    async def always(model: ReadyModel) -> None:
        assert model.batcher.batching.state is State.FORCED
        await compare(model, waves(lambda seed: [loud(1, 2, seed=seed)], 2))
        assert model.batcher.shares

    async def never(model: ReadyModel) -> None:
        await compare(model, waves(lambda seed: [loud(1, 2, seed=seed)], 2))
        assert model.batcher.batching.state is State.OFF

    path = models.doubling(tmp_path / "m.onnx")
    serving(path, always, mode="always")
    serving(path, never, mode="never")


def test_after_a_forced_run_with_a_different_number_of_rows_each_request_runs_alone(tmp_path: Path) -> None:
    async def scenario(model: ReadyModel) -> None:
        await compare(model, waves(lambda seed: request("counts", seed + 1), 3))
        assert model.batcher.batching.state is State.REFUTED

    serving(zoo.counts(tmp_path / "m.onnx"), scenario, mode="always")


def test_requests_whose_inputs_differ_in_length_are_not_split(tmp_path: Path) -> None:
    """Two inputs, each with its own axis name from the exporter."""

    async def scenario(model: ReadyModel) -> None:
        def pair(seed: int) -> Request:
            return [loud(1, 2, seed=seed), loud(1 + seed % 3, 2, seed=seed + 1)]

        await compare(model, waves(pair, 4))

    serving(zoo.generated_names(tmp_path / "m.onnx"), scenario)


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_several_rows_for_a_model_with_a_fixed_batch_of_one_run_one_by_one(tmp_path: Path, rows: int) -> None:
    async def scenario(model: ReadyModel) -> None:
        (answer,) = await concurrent(model, [[loud(rows, 3, seed=3)]])
        np.testing.assert_array_equal(answer[0], loud(rows, 3, seed=3) * 2)

    serving(zoo.one_row(tmp_path / "m.onnx"), scenario)
