"""The proof that callers may share runs: their rows must have the same outputs alone and together.

Each real row runs alone. Then all real rows run together, with and without neighbours of very different scale, in two
orders and sizes. A dependence on a neighbour, on the position or on the number of rows shows in at least one of these
runs. Only real rows are compared. If rounding can cause a difference, the row runs again among the same number of
copies of itself, and must have the same outputs as among the others. The first proof imports this module: a cold start
and a single caller do not need it.
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
_FEW_ROWS: Final = 2  # used instead if one row alone takes longer than:
_LONG_SECONDS: Final = 0.1
_SMALLER, _LARGER = 1e-3, 1e3
_REAL, _LESS, _MORE, _FAR_MORE = "real", "less", "more", "far more"
_FLOAT_NAMES: Final = {"float16", "float32", "float64", "bfloat16"}

Runs = Callable[[Tensors], Sequence[object]]


class _Member(NamedTuple):
    """One row of a shared run; `real` is its index among the real rows, None for a neighbour."""

    tensors: Tensors
    real: int | None
    kind: str


class _CannotRun(Exception):
    """The model rejects the rows that the proof needs to run."""


def prove(run: Runs, rows: Sequence[Tensors], *, batch_size: int, steps: Sequence[float | None] = ()) -> Verdict:
    """Return the verdict for `rows` (each one row per input), in shared runs of at most `batch_size` rows (at least 2).

    `steps` are the quantization steps of the outputs, None for an output without one. Raises nothing: an exception of
    `run` ends the proof.
    """
    try:
        return _prove(run, rows, batch_size, steps)
    except _CannotRun as error:
        return Verdict(Outcome.COULD_NOT_RUN, str(error))
    except Exception as error:  # noqa: BLE001 - a proof that could not run proves nothing, for any reason
        return Verdict(Outcome.COULD_NOT_RUN, f"the proof failed: {type(error).__name__}: {error}")


def _prove(run: Runs, rows: Sequence[Tensors], batch_size: int, steps: Sequence[float | None]) -> Verdict:
    real, alone = _run_alone(run, _distinct(rows), limit=_REAL_ROWS)
    for outputs in alone:
        for index, output in enumerate(outputs):
            if (count := rows_in(output)) != 1:
                received = "no rows" if count is None else f"{count} rows"
                return Verdict(Outcome.FAILED, f"output {index + 1} has {received} for one row of input")
    members, together = _run_together(run, real, batch_size)
    if not _inputs_differ(members):
        return Verdict(Outcome.TOO_SIMILAR, "the rows do not differ")
    for batch, outputs in together:
        if found := _mismatch(run, batch, outputs, alone, steps):
            return Verdict(Outcome.FAILED, found)
    return Verdict(Outcome.PASSED, f"{len(real)} rows of callers had the same outputs alone and together")


def _run_alone(run: Runs, rows: Sequence[Tensors], *, limit: int) -> tuple[list[Tensors], list[Sequence[object]]]:
    """Return the first rows that the model accepts, and the outputs of each alone."""
    real: list[Tensors] = []
    alone: list[Sequence[object]] = []
    refused: ScalezeroError | None = None
    for row in rows:
        if len(real) >= limit:
            break
        began = perf_counter()
        try:
            outputs = run(row)
        except ScalezeroError as error:
            refused = error
            continue
        real.append(row)
        alone.append(outputs)
        if perf_counter() - began > _LONG_SECONDS:
            limit = min(limit, _FEW_ROWS)
    if not real:
        raise _CannotRun(f"no single row could be run: {refused}")
    return real, alone


def _run_together(
    run: Runs, real: Sequence[Tensors], batch_size: int
) -> tuple[list[_Member], list[tuple[list[_Member], Sequence[object]]]]:
    """Return all members, and the outputs of each batch of them, without neighbours that the model rejects alone."""
    members = _with_neighbours(real)
    try:
        return members, [(batch, run(_joined(batch))) for batch in _batches(members, batch_size)]
    except ScalezeroError:
        members = [each for each in members if each.real is not None or _runs(run, each.tensors)]
    try:
        return members, [(batch, run(_joined(batch))) for batch in _batches(members, batch_size)]
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
    batch: Sequence[_Member],
    outputs: Sequence[object],
    alone: Sequence[Sequence[object]],
    steps: Sequence[float | None],
) -> str | None:
    for index, output in enumerate(outputs):
        if rows_in(output) != len(batch):
            return f"output {index + 1} has {rows_in(output) or 'no'} rows for {len(batch)} rows of input"
        step = steps[index] if index < len(steps) else None
        for place, member in enumerate(batch):
            if member.real is None:
                continue
            together = _row(output, place)
            found = difference(alone[member.real][index], together, step=step)
            if found and not (found.rounding and _same_among_copies(run, batch, place, index, together)):
                return f"neighbours change a row's output {index + 1}: {found.text}"
    return None


def _same_among_copies(run: Runs, batch: Sequence[_Member], place: int, index: int, together: object) -> bool:
    """Return whether the row has the same output among copies of itself: then its neighbours have no effect."""
    outputs = run(_joined([batch[place]] * len(batch)))
    return difference(_row(outputs[index], place), together, step=None) is None


def _row(output: object, place: int) -> object:
    return output[place : place + 1]  # type: ignore[index] # an array or a list, because it has rows


def _distinct(rows: Sequence[Tensors]) -> list[Tensors]:
    return list({tuple(_content(tensor) for tensor in row): row for row in reversed(rows)}.values())[::-1]


def _content(tensor: np.ndarray) -> object:
    return tuple(tensor.ravel().tolist()) if tensor.dtype == np.dtype(object) else tensor.tobytes()


def _with_neighbours(real: Sequence[Tensors]) -> list[_Member]:
    """Put each real row between neighbours made from the next row: less, more and, if not all is float, far more."""
    kinds = [_MORE] if all(tensor.dtype.name in _FLOAT_NAMES for tensor in real[0]) else [_MORE, _FAR_MORE]
    members = []
    for index, row in enumerate(real):
        other = real[(index + 1) % len(real)]
        less, *more = (_Member([_changed(tensor, kind) for tensor in other], None, kind) for kind in (_LESS, *kinds))
        members += [less, _Member(row, index, _REAL), *more]
    return members


def _changed(tensor: np.ndarray, kind: str) -> np.ndarray:
    """Return the tensor scaled or, if its type has no scale, with near and far values; the model may reject these."""
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
    """Return integers that are 1 less or 1 more at every second position, or 1000 times larger, within their type."""
    largest = int(np.iinfo(tensor.dtype).max)
    if kind == _LESS:
        return np.where(_every_second(tensor), np.maximum(tensor, 1) - 1, tensor)
    if kind == _MORE:
        return np.where(_every_second(tensor), np.minimum(tensor, largest - 1) + 1, tensor)
    scalable = largest // 2000
    if scalable == 0:
        return np.full_like(tensor, largest)
    return np.where(tensor < scalable, np.clip(tensor, 0, scalable) * 1000 + 1000, largest).astype(tensor.dtype)


def _scaled(tensor: np.ndarray, factor: float) -> np.ndarray:
    """Multiply by the factor, and by 1.5 times the factor at every second position, so that equal elements differ."""
    values = tensor.astype(np.float64)
    if not values.any():
        values = np.ones_like(values)
    largest = {"float16": 6e4, "bfloat16": 3e38, "float32": 3e38}.get(tensor.dtype.name, 1e300)
    with np.errstate(all="ignore"):
        scaled = values * np.where(_every_second(tensor), factor, 1.5 * factor)
        return np.asarray(np.clip(scaled, -largest, largest), tensor.dtype)


def _every_second(tensor: np.ndarray) -> np.ndarray:
    return np.asarray(np.arange(tensor.size) % 2 == 0).reshape(tensor.shape)


def _inputs_differ(members: Sequence[_Member]) -> bool:
    """Return whether every input that has elements differs between at least two members."""
    return len(members) > 1 and all(
        not column[0].size or len({_content(each) for each in column}) > 1
        for column in zip(*(member.tensors for member in members), strict=True)
    )


def _batches(members: Sequence[_Member], batch_size: int) -> list[list[_Member]]:
    """Return the shared runs: with all neighbours, without the largest, which may hide the others, and without any."""
    kinds = {member.kind for member in members}
    largest = next((kind for kind in (_FAR_MORE, _MORE) if kind in kinds), "")
    batches: list[list[_Member]] = []
    for left_out in (set(), {largest}, {_LESS, _MORE, _FAR_MORE}):
        kept = [member for member in members if member.kind not in left_out]
        if len(kept) > 1:
            batches += _both_orders(kept, batch_size)
    return batches


def _both_orders(members: list[_Member], batch_size: int) -> list[list[_Member]]:
    """Return both orders, in two sizes; if not all fit into one run, the neighbours of each real row in both orders."""
    if len(members) > batch_size:
        ring = members * 3
        places = [place for place, each in enumerate(members, len(members)) if each.real is not None]
        around = [ring[start : start + batch_size] for place in places for start in (place - 1, place)]
        return [*around, *(batch[::-1] for batch in around)]
    backwards = members[::-1]
    return [members, backwards[:-1] if backwards[-1].real is None else backwards]


def _joined(batch: Sequence[_Member]) -> list[np.ndarray]:
    return join([member.tensors for member in batch])
