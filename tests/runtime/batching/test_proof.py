"""The proof looks at real rows, alone and together, and what it could not run proves nothing."""

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
def test_rows_that_leave_each_other_alone_pass(rows: list[Tensors], batch_size: int) -> None:
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
def test_rows_that_change_each_other_fail(run: Runs, rows: list[Tensors], batch_size: int) -> None:
    assert outcome(run, rows, batch_size=batch_size) is Outcome.FAILED


@pytest.mark.parametrize("modulus", [2, 3])
def test_numbers_of_rows_that_share_a_divisor_do_not_hide_it(modulus: int) -> None:
    def run(x: Tensors) -> list[np.ndarray]:
        return [x[0] * (1 if len(x[0]) % modulus == 1 else 2)]

    assert outcome(run, floats(1, 2, 3, 4)) is Outcome.FAILED


@pytest.mark.parametrize(
    ("run", "told"),
    [
        (lambda x: [x[0], np.array(1.0)], "output 2 has no rows for one row of input"),
        (lambda x: [np.repeat(x[0], 2, axis=0)], "output 1 has 2 rows for one row of input"),
        (lambda x: [x[0][:1]], "output 1 has 1 rows for 12 rows of input"),
    ],
)
def test_each_output_has_a_row_for_each(run: Runs, told: str) -> None:
    verdict = prove(run, floats(1, 2, 3, 4), batch_size=32)
    assert (verdict.outcome, verdict.reason) == (Outcome.FAILED, told)


def test_rounding_near_one_is_no_neighbour() -> None:
    """Another kernel for several rows: the same for whatever neighbours."""

    def run(x: Tensors) -> list[np.ndarray]:
        return [np.full((len(x[0]), 1), 7.3e-5 + (6e-8 if len(x[0]) > 1 else 0.0), F32)]

    assert outcome(run, floats(1, 2, 3)) is Outcome.PASSED


def test_neighbours_that_change_as_little_as_rounding_are_found() -> None:
    def run(x: Tensors) -> list[np.ndarray]:
        near = np.tanh(np.abs(x[0]).sum()) * 6e-8 if len(x[0]) > 1 else 0.0
        return [np.full((len(x[0]), 1), 7.3e-5 + near * np.tanh(np.abs(x[0][0, 0])), F32) + F32(0)]

    assert outcome(run, floats(0.001, 2, 3)) is Outcome.FAILED


def test_a_real_row_that_the_model_refuses_is_left_out() -> None:
    assert outcome(refusing(lambda x: bool((x == 2).any())), floats(2, 5, 7)) is Outcome.PASSED


def test_without_a_row_that_runs_nothing_is_proven() -> None:
    verdict = prove(refusing(lambda _: True), floats(1, 2), batch_size=32)
    assert verdict.outcome is Outcome.COULD_NOT_RUN
    assert "no single row could be run" in verdict.reason


def test_rows_that_run_only_alone_prove_nothing() -> None:
    verdict = prove(refusing(lambda x: len(x) > 1), floats(1, 2), batch_size=32)
    assert verdict.outcome is Outcome.COULD_NOT_RUN
    assert "could not be run together" in verdict.reason


def test_neighbours_that_the_model_refuses_alone_are_left_out() -> None:
    assert outcome(refusing(lambda x: bool((x > 50).any())), floats(1, 2, 3)) is Outcome.PASSED
    assert (
        outcome(refusing(lambda x: bool((x > 50).any()), lambda x: [x[0] - x[0].max()]), floats(1, 2)) is Outcome.FAILED
    )


def test_rows_without_any_difference_left_show_nothing() -> None:
    assert outcome(refusing(lambda x: bool((x != 3).any())), ids(3, 3)) is Outcome.TOO_ALIKE


def test_a_fault_of_the_proof_proves_nothing() -> None:
    def breaks(_: Tensors) -> Sequence[object]:
        raise ZeroDivisionError("ours")

    verdict = prove(breaks, floats(1), batch_size=32)
    assert verdict.outcome is Outcome.COULD_NOT_RUN
    assert "ZeroDivisionError: ours" in verdict.reason


def test_one_step_of_a_quantized_output_is_let_through() -> None:
    def run(x: Tensors) -> list[np.ndarray]:
        return [np.full((len(x[0]), 1), 0.125 * (len(x[0]) > 1), F32)]

    assert prove(run, floats(1, 2), batch_size=32, steps=(0.125,)).outcome is Outcome.PASSED
    assert prove(run, floats(1, 2), batch_size=32, steps=(0.1,)).outcome is Outcome.FAILED


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16, np.int64, np.uint64, bool, np.float16, np.complex64])
@pytest.mark.parametrize("extreme", ["least", "most", "zero"])
def test_neighbours_are_made_for_every_type_without_overflow(dtype: type, extreme: str) -> None:
    limits: tuple[float, float] = (0, 1)
    if np.dtype(dtype).kind in "iu":
        limits = np.iinfo(dtype).min, np.iinfo(dtype).max
    elif dtype is np.float16:
        limits = -65504.0, 65504.0
    value = {"least": limits[0], "most": limits[1], "zero": 0}[extreme]
    assert outcome(lambda x: [x[0]], [[np.array([[value]], dtype)]]) in {Outcome.PASSED, Outcome.TOO_ALIKE}


def test_text_is_changed_for_neighbours_too() -> None:
    def first(x: Tensors) -> list[np.ndarray]:
        return [np.full(x[0].shape, x[0].flat[0], object)]

    for word in ("a", ""):
        rows: list[Tensors] = [[np.array([[word]], object)]]
        assert outcome(lambda x: [x[0]], rows) is Outcome.PASSED
        assert outcome(first, rows) is Outcome.FAILED


def test_no_run_is_larger_than_a_batch() -> None:
    sizes: list[int] = []

    def run(x: Tensors) -> list[np.ndarray]:
        sizes.append(len(x[0]))
        return doubled(x)

    for batch_size in (2, 3, 7, 32):
        sizes.clear()
        outcome(run, floats(1, 2, 3, 4, 5), batch_size=batch_size)
        assert max(sizes) <= batch_size
        assert max(sizes) > 1


def test_only_a_few_of_many_rows_are_run_alone() -> None:
    alone: list[float] = []

    def run(x: Tensors) -> list[np.ndarray]:
        if len(x[0]) == 1:
            alone.append(float(x[0][0, 0]))
        return doubled(x)

    assert outcome(run, floats(*range(8))) is Outcome.PASSED
    assert alone == [0, 1, 2, 3]


def test_of_a_model_that_takes_long_two_rows_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "_LONG", -1.0)
    verdict = prove(doubled, floats(1, 2, 3, 4), batch_size=32)
    assert verdict.reason == "2 rows of callers gave the same alone and together"
