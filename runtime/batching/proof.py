"""The proof that callers may share runs: their own rows, run alone and together, must give the same.

Each real row runs alone, then all of them together, among neighbours of very different scale and without, in two orders
and sizes: what depends on a neighbour, on the position or on the number of rows shows in at least one. Only real rows
are compared. A difference that rounding can make is looked at again: among as many copies of itself the row must give
what it gave among others. Imported by the first proof: a cold start and a lone caller need none of it.
"""

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Final, NamedTuple

import numpy as np

from runtime.batching.comparison import difference, rows_in
from runtime.batching.independence import Outcome, Verdict
from runtime.batching.stacking import Tensors, join
from runtime.errors import ScalezeroError

_REAL_ROWS: Final = 4
_FEW: Final = 2  # of a model whose row takes longer than this many seconds alone:
_LONG: Final = 0.1
_SMALLER, _LARGER = 1e-3, 1e3
_REAL, _LESS, _MORE, _FAR_MORE = "real", "less", "more", "far more"
_FLOAT_NAMES: Final = {"float16", "float32", "float64", "bfloat16"}

Runs = Callable[[Tensors], Sequence[object]]


class _Member(NamedTuple):
    """One row of a shared run; `real` is its place among the real rows, None for a neighbour."""

    tensors: Tensors
    real: int | None
    kind: str


class _CannotRun(Exception):
    """The model refuses what the proof needs it to run."""


def prove(run: Runs, rows: Sequence[Tensors], *, batch_size: int, steps: Sequence[float | None] = ()) -> Verdict:
    """Judge from `rows`, each one row per input, in shared runs of at most `batch_size` rows (at least two).

    `steps` holds each output's quantization step or None. Raises nothing: what `run` raises ends the proof.
    """
    try:
        return _prove(run, rows, batch_size, steps)
    except _CannotRun as error:
        return Verdict(Outcome.COULD_NOT_RUN, str(error))
    except Exception as error:  # noqa: BLE001 - a proof that could not run proves nothing, whatever the reason
        return Verdict(Outcome.COULD_NOT_RUN, f"the proof failed: {type(error).__name__}: {error}")


def _prove(run: Runs, rows: Sequence[Tensors], batch_size: int, steps: Sequence[float | None]) -> Verdict:
    real, alone = _run_alone(run, _distinct(rows), most=_REAL_ROWS)
    for outputs in alone:
        for index, output in enumerate(outputs):
            if (count := rows_in(output)) != 1:
                came = "no rows" if count is None else f"{count} rows"
                return Verdict(Outcome.FAILED, f"output {index + 1} has {came} for one row of input")
    members, together = _run_together(run, real, batch_size)
    if not _vary(members):
        return Verdict(Outcome.TOO_ALIKE, "the rows do not differ")
    for lot, outputs in together:
        if found := _mismatch(run, lot, outputs, alone, steps):
            return Verdict(Outcome.FAILED, found)
    return Verdict(Outcome.PASSED, f"{len(real)} rows of callers gave the same alone and together")


def _run_alone(run: Runs, rows: Sequence[Tensors], *, most: int) -> tuple[list[Tensors], list[Sequence[object]]]:
    """The first rows that the model computes on, and their outputs alone."""
    real: list[Tensors] = []
    alone: list[Sequence[object]] = []
    refused: ScalezeroError | None = None
    for row in rows:
        if len(real) >= most:
            break
        began = perf_counter()
        try:
            outputs = run(row)
        except ScalezeroError as error:
            refused = error
            continue
        real.append(row)
        alone.append(outputs)
        if perf_counter() - began > _LONG:
            most = min(most, _FEW)
    if not real:
        raise _CannotRun(f"no single row could be run: {refused}")
    return real, alone


def _run_together(
    run: Runs, real: Sequence[Tensors], batch_size: int
) -> tuple[list[_Member], list[tuple[list[_Member], Sequence[object]]]]:
    """All members, and the outputs of each lot of them; neighbours that the model refuses alone are left out."""
    members = _surrounded(real)
    try:
        return members, [(lot, run(_stacked(lot))) for lot in _lots(members, batch_size)]
    except ScalezeroError:
        members = [each for each in members if each.real is not None or _runs(run, each.tensors)]
    try:
        return members, [(lot, run(_stacked(lot))) for lot in _lots(members, batch_size)]
    except ScalezeroError as error:
        raise _CannotRun(f"rows that run alone could not be run together: {error}") from error


def _runs(run: Runs, tensors: Tensors) -> bool:
    try:
        run(tensors)
    except ScalezeroError:
        return False
    return True


def _mismatch(
    run: Runs,
    lot: Sequence[_Member],
    outputs: Sequence[object],
    alone: Sequence[Sequence[object]],
    steps: Sequence[float | None],
) -> str | None:
    for index, output in enumerate(outputs):
        if rows_in(output) != len(lot):
            return f"output {index + 1} has {rows_in(output) or 'no'} rows for {len(lot)} rows of input"
        step = steps[index] if index < len(steps) else None
        for place, member in enumerate(lot):
            if member.real is None:
                continue
            mine = _row(output, place)
            found = difference(alone[member.real][index], mine, step=step)
            if found and not (found.rounding and _same_among_copies(run, lot, place, index, mine)):
                return f"neighbours change a row's output {index + 1}: {found.text}"
    return None


def _same_among_copies(run: Runs, lot: Sequence[_Member], place: int, index: int, mine: object) -> bool:
    """Whether the row gives the same where all its neighbours are copies of itself: then none of them matters."""
    outputs = run(_stacked([lot[place]] * len(lot)))
    return difference(_row(outputs[index], place), mine, step=None) is None


def _row(output: object, place: int) -> object:
    return output[place : place + 1]  # type: ignore[index] # an array or a list, as it has rows


def _distinct(rows: Sequence[Tensors]) -> list[Tensors]:
    return list({tuple(_content(tensor) for tensor in row): row for row in reversed(rows)}.values())[::-1]


def _content(tensor: np.ndarray) -> object:
    return tuple(tensor.ravel().tolist()) if tensor.dtype == np.dtype(object) else tensor.tobytes()


def _surrounded(real: Sequence[Tensors]) -> list[_Member]:
    """Each real row among neighbours made of the next real row: less and more, and far more where not all is float."""
    kinds = [_MORE] if all(tensor.dtype.name in _FLOAT_NAMES for tensor in real[0]) else [_MORE, _FAR_MORE]
    members = []
    for index, row in enumerate(real):
        other = real[(index + 1) % len(real)]
        less, *more = (_Member([_changed(tensor, kind) for tensor in other], None, kind) for kind in (_LESS, *kinds))
        members += [less, _Member(row, index, _REAL), *more]
    return members


def _changed(tensor: np.ndarray, kind: str) -> np.ndarray:
    """A tensor of another scale, or of near and far values where no scale makes sense: what is refused is left out."""
    if tensor.dtype.name in _FLOAT_NAMES:
        return _scaled(tensor, _SMALLER if kind == _LESS else _LARGER)
    if tensor.dtype == np.dtype(object):
        text = tensor.ravel().tolist()
        changed = {
            _LESS: [""] * len(text),
            _MORE: [f"{each}z" for each in text],
            _FAR_MORE: [f"z{each}" for each in text],
        }
        words = np.empty(len(text), object)
        words[:] = changed[kind]
        return words.reshape(tensor.shape)
    if tensor.dtype == np.dtype(bool):
        return {_LESS: np.zeros_like(tensor), _MORE: np.ones_like(tensor), _FAR_MORE: ~tensor}[kind]
    if tensor.dtype.kind not in "iu":
        return np.zeros_like(tensor)
    return _moved(tensor, kind)


def _moved(tensor: np.ndarray, kind: str) -> np.ndarray:
    """Whole numbers one less or one more at every second place, or a thousand times as large, within their type."""
    most = int(np.iinfo(tensor.dtype).max)
    if kind == _LESS:
        return np.where(_every_second(tensor), np.maximum(tensor, 1) - 1, tensor)
    if kind == _MORE:
        return np.where(_every_second(tensor), np.minimum(tensor, most - 1) + 1, tensor)
    room = most // 2000
    if room == 0:
        return np.full_like(tensor, most)
    return np.where(tensor < room, np.clip(tensor, 0, room) * 1000 + 1000, most).astype(tensor.dtype)


def _scaled(tensor: np.ndarray, factor: float) -> np.ndarray:
    """The tensor times the factor, and half as much again at every second place: equal elements get different ones."""
    values = tensor.astype(np.float64)
    if not values.any():
        values = np.ones_like(values)
    most = {"float16": 6e4, "bfloat16": 3e38, "float32": 3e38}.get(tensor.dtype.name, 1e300)
    with np.errstate(all="ignore"):
        scaled = values * np.where(_every_second(tensor), factor, 1.5 * factor)
        return np.asarray(np.clip(scaled, -most, most), tensor.dtype)


def _every_second(tensor: np.ndarray) -> np.ndarray:
    return np.asarray(np.arange(tensor.size) % 2 == 0).reshape(tensor.shape)


def _vary(members: Sequence[_Member]) -> bool:
    """Whether every input that has elements differs somewhere among the members."""
    return len(members) > 1 and all(
        not column[0].size or len({_content(each) for each in column}) > 1
        for column in zip(*(member.tensors for member in members), strict=True)
    )


def _lots(members: Sequence[_Member], batch_size: int) -> list[list[_Member]]:
    """The shared runs: with all neighbours, without the largest, which may outweigh all others, and with none."""
    kinds = {member.kind for member in members}
    largest = next((kind for kind in (_FAR_MORE, _MORE) if kind in kinds), "")
    lots: list[list[_Member]] = []
    for left_out in (set(), {largest}, {_LESS, _MORE, _FAR_MORE}):
        kept = [member for member in members if member.kind not in left_out]
        if len(kept) > 1:
            lots += _both_orders(kept, batch_size)
    return lots


def _both_orders(members: list[_Member], batch_size: int) -> list[list[_Member]]:
    """Both orders, of two sizes; around each real row, in both orders, where not all fit into one run."""
    if len(members) > batch_size:
        ring = members * 3
        places = [place for place, each in enumerate(members, len(members)) if each.real is not None]
        around = [ring[start : start + batch_size] for place in places for start in (place - 1, place)]
        return [*around, *(lot[::-1] for lot in around)]
    backwards = members[::-1]
    return [members, backwards[:-1] if backwards[-1].real is None else backwards]


def _stacked(lot: Sequence[_Member]) -> list[np.ndarray]:
    return join([member.tensors for member in lot])
