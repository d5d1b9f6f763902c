"""The proof compares real rows alone and together; a run that fails proves nothing."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from runtime.batching import proof
from runtime.batching.independence import Outcome
from runtime.batching.proof import prove
from runtime.batching.stacking import Tensors
from runtime.errors import RejectedByModel

F32 = np.float32
Runs = Callable[[Tensors], Sequence[object]]


def floats(*numbers: float) -> list[Tensors]:
    return [[np.array([[number, number + 1]], F32)] for number in numbers]


def ids(*numbers: int) -> list[Tensors]:
    return [[np.array([[number]])] for number in numbers]


def outcome(run: Runs, rows: Sequence[Tensors], *, batch_size: int = 32) -> Outcome:
    return prove(run, rows, batch_size=batch_size).outcome


def doubled(tensors: Tensors) -> list[np.ndarray]:
    return [tensors[0] * 2]


def refusing(condition: Callable[[np.ndarray], bool], run: Runs = doubled) -> Runs:
    def checked(tensors: Tensors) -> Sequence[object]:
        if condition(tensors[0]):
            raise RejectedByModel("m", "no")
        return run(tensors)

    return checked


@pytest.mark.parametrize("batch_size", [2, 3, 5, 12, 32])
@pytest.mark.parametrize(
    "rows", [floats(1), floats(1, 1, 1), floats(1, 2, 3, 4, 5), floats(0), ids(3), ids(0), ids(1, 2, 3)]
)
def test_independent_rows_pass(rows: list[Tensors], batch_size: int) -> None:
    assert outcome(doubled, rows, batch_size=batch_size) is Outcome.PASSED


@pytest.mark.parametrize("batch_size", [2, 3, 5, 12, 32])
@pytest.mark.parametrize("rows", [floats(1), floats(1, 2, 3), ids(3, 4), ids(2)])
@pytest.mark.parametrize(
    "run",
    [
        lambda x: [x[0] - x[0].max(axis=0, keepdims=True)],
        lambda x: [x[0] * len(x[0])],
        lambda x: [np.cumsum(x[0], axis=0)],
        lambda x: [x[0] + np.arange(len(x[0]))[:, None]],
        lambda x: [x[0][::-1]],
        lambda x: [x[0] == x[0].max()],
        lambda x: [np.where(x[0] == x[0].max(), "best", "other").astype(object)],
        lambda x: [x[0] + 0.001 * x[0].mean(axis=0, keepdims=True)],
        lambda x: [np.where(np.arange(len(x[0]))[:, None] == 0, x[0] + 1, x[0])],
    ],
)
def test_dependent_rows_fail(run: Runs, rows: list[Tensors], batch_size: int) -> None:
    assert outcome(run, rows, batch_size=batch_size) is Outcome.FAILED


@pytest.mark.parametrize("modulus", [2, 3])
def test_a_dependence_on_the_number_of_rows_modulo_a_number_is_found(modulus: int) -> None:
    def run(x: Tensors) -> list[np.ndarray]:
        return [x[0] * (1 if len(x[0]) % modulus == 1 else 2)]

    assert outcome(run, floats(1, 2, 3, 4)) is Outcome.FAILED


@pytest.mark.parametrize(
    ("run", "reason"),
    [
        (lambda x: [x[0], np.array(1.0)], "output 2 has no rows for one row of input"),
        (lambda x: [np.repeat(x[0], 2, axis=0)], "output 1 has 2 rows for one row of input"),
        (lambda x: [x[0][:1]], "output 1 has 1 rows for 12 rows of input"),
    ],
)
def test_an_output_without_one_row_per_input_row_fails(run: Runs, reason: str) -> None:
    verdict = prove(run, floats(1, 2, 3, 4), batch_size=32)
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, reason)


def test_rounding_near_one_is_not_a_dependence() -> None:
    """A different kernel for several rows: the result does not depend on the neighbours."""

    def run(x: Tensors) -> list[np.ndarray]:
        return [np.full((len(x[0]), 1), 7.3e-5 + (6e-8 if len(x[0]) > 1 else 0.0), F32)]

    assert outcome(run, floats(1, 2, 3)) is Outcome.PASSED


def test_a_dependence_as_small_as_rounding_is_found() -> None:
    def run(x: Tensors) -> list[np.ndarray]:
        near = np.tanh(np.abs(x[0]).sum()) * 6e-8 if len(x[0]) > 1 else 0.0
        return [np.full((len(x[0]), 1), 7.3e-5 + near * np.tanh(np.abs(x[0][0, 0])), F32) + F32(0)]

    assert outcome(run, floats(0.001, 2, 3)) is Outcome.FAILED


def test_a_real_row_that_the_model_rejects_is_left_out() -> None:
    assert outcome(refusing(lambda x: bool((x == 2).any())), floats(2, 5, 7)) is Outcome.PASSED


def test_if_no_row_runs_nothing_is_proven() -> None:
    verdict = prove(refusing(lambda _: True), floats(1, 2), batch_size=32)
    assert verdict.outcome is Outcome.COULD_NOT_RUN
    assert "no single row could be run" in verdict.reason


def test_if_rows_run_only_alone_nothing_is_proven() -> None:
    verdict = prove(refusing(lambda x: len(x) > 1), floats(1, 2), batch_size=32)
    assert verdict.outcome is Outcome.COULD_NOT_RUN
    assert "could not be run together" in verdict.reason


def test_neighbours_that_the_model_rejects_alone_are_left_out() -> None:
    assert outcome(refusing(lambda x: bool((x > 50).any())), floats(1, 2, 3)) is Outcome.PASSED
    assert (
        outcome(refusing(lambda x: bool((x > 50).any()), lambda x: [x[0] - x[0].max()]), floats(1, 2)) is Outcome.FAILED
    )


def test_rows_that_do_not_differ_prove_nothing() -> None:
    assert outcome(refusing(lambda x: bool((x != 3).any())), ids(3, 3)) is Outcome.TOO_SIMILAR


def test_an_error_in_the_proof_proves_nothing() -> None:
    def breaks(_: Tensors) -> Sequence[object]:
        raise ZeroDivisionError("ours")

    verdict = prove(breaks, floats(1), batch_size=32)
    assert verdict.outcome is Outcome.COULD_NOT_RUN
    assert "ZeroDivisionError: ours" in verdict.reason


def test_a_difference_of_one_quantization_step_passes() -> None:
    def run(x: Tensors) -> list[np.ndarray]:
        return [np.full((len(x[0]), 1), 0.125 * (len(x[0]) > 1), F32)]

    assert prove(run, floats(1, 2), batch_size=32, steps=(0.125,)).outcome is Outcome.PASSED
    assert prove(run, floats(1, 2), batch_size=32, steps=(0.1,)).outcome is Outcome.FAILED


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int64, np.uint64, bool, np.float16, np.complex64])
@pytest.mark.parametrize("extreme", ["least", "most", "zero"])
def test_neighbours_of_every_type_do_not_overflow(dtype: type, extreme: str) -> None:
    limits: tuple[float, float] = (0, 1)
    if np.dtype(dtype).kind in "iu":
        limits = np.iinfo(dtype).min, np.iinfo(dtype).max
    elif dtype is np.float16:
        limits = -65504.0, 65504.0
    value = {"least": limits[0], "most": limits[1], "zero": 0}[extreme]
    assert outcome(lambda x: [x[0]], [[np.array([[value]], dtype)]]) in {Outcome.PASSED, Outcome.TOO_SIMILAR}


def test_neighbours_of_text_have_different_text() -> None:
    def first(x: Tensors) -> list[np.ndarray]:
        return [np.full(x[0].shape, x[0].flat[0], object)]

    for word in ("a", ""):
        rows: list[Tensors] = [[np.array([[word]], object)]]
        assert outcome(lambda x: [x[0]], rows) is Outcome.PASSED
        assert outcome(first, rows) is Outcome.FAILED


def test_no_run_is_larger_than_the_batch_size() -> None:
    sizes: list[int] = []

    def run(x: Tensors) -> list[np.ndarray]:
        sizes.append(len(x[0]))
        return doubled(x)

    for batch_size in (2, 3, 7, 32):
        sizes.clear()
        outcome(run, floats(1, 2, 3, 4, 5), batch_size=batch_size)
        assert max(sizes) <= batch_size
        assert max(sizes) > 1


def test_only_a_few_rows_run_alone() -> None:
    alone: list[float] = []

    def run(x: Tensors) -> list[np.ndarray]:
        if len(x[0]) == 1:
            alone.append(float(x[0][0, 0]))
        return doubled(x)

    assert outcome(run, floats(*range(8))) is Outcome.PASSED
    assert alone == [0, 1, 2, 3]


def test_two_rows_are_enough_for_a_slow_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "_LONG_SECONDS", -1.0)
    verdict = prove(doubled, floats(1, 2, 3, 4), batch_size=32)
    assert verdict.reason == "2 rows of callers had the same outputs alone and together"
