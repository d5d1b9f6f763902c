"""The speed and the outputs of a candidate: warm, on one core, in pairs of runs with the original."""

import math
import os
import statistics
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from time import perf_counter, process_time
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from runtime.model import operators
from runtime.model.session import Session
from runtime.model.signature import Signature
from runtime.optimizing.choosing import Speed
from runtime.optimizing.data import is_sample, rows_between
from runtime.optimizing.timing import Pair, cost_line, ratio
from runtime.tensors import STRING, TensorSpec

Tensors: TypeAlias = Sequence[np.ndarray]
_SAMPLE: Final = 0.002  # seconds; shorter runs are repeated within one sample, so that the clock is exact enough
_RESOLUTION: Final = 1e-7  # seconds, of the clock
_BUDGET: Final = 1.0  # seconds for the pairs of one number of rows
_MIN_PAIRS: Final = 5
_MAX_PAIRS: Final = 25
_LINE_PAIRS: Final = 3  # for the numbers of rows that only the cost line needs


@contextmanager
def pinned() -> Iterator[ThreadPoolExecutor]:
    """Yield an executor with one thread, which runs on one core: the last one that this process may use.

    Sessions with one thread run on the thread of the caller, and threads that a provider starts inherit its core.
    """
    core = max(os.sched_getaffinity(0))
    with ThreadPoolExecutor(1, "measuring", os.sched_setaffinity, (0, {core})) as executor:
        yield executor


def rows_per_run(signature: Signature, batch_size: int) -> int:
    """Return the rows of a full batch: 1 if the model has no axis of rows, or fixes it."""
    batchable = signature.batchable and not any(map(is_sample, signature.inputs))
    return batch_size if batchable else 1


def outputs_of(session: Session, tensors: Tensors, *, rows: int) -> list[np.ndarray]:
    """Run on all rows, `rows` at a time, and return each output of all runs as one array. Raises as `Session.run`."""
    runs = [session.run(feed) for feed in _feeds(session.signature, tensors, rows)]
    return [_joined(outputs) for outputs in zip(*runs, strict=True)]


def _joined(outputs: Sequence[np.ndarray]) -> np.ndarray:
    """Join the outputs of runs along the first axis; flat where the other axes differ."""
    if all(each.ndim and each.shape[1:] == outputs[0].shape[1:] for each in outputs):
        return np.concatenate(outputs)
    return np.concatenate([each.ravel() for each in outputs])


def _feeds(signature: Signature, tensors: Tensors, rows: int) -> Iterator[Tensors]:
    count = len(tensors[0])
    for start, end in pairwise([*range(0, count, rows), count]):
        yield rows_between(signature, tensors, start, end)


def feed_of(signature: Signature, tensors: Tensors | None, rows: int) -> Tensors:
    """Return the tensors of a run with this many rows: those given, repeated as needed, or generated ones."""
    if tensors is None:
        tensors = generated_rows(signature)
    repeats = math.ceil(rows / len(tensors[0]))
    return rows_between(signature, [np.concatenate([each] * repeats) for each in tensors], 0, rows)


def generated_rows(signature: Signature) -> Tensors:
    """Return a few rows for a model without data, as in `Data`."""
    return [_generated(spec) for spec in signature.inputs]


def _generated(spec: TensorSpec) -> np.ndarray:
    """Return a few rows of random floats, or of zeros or empty strings, which are valid for most models."""
    shape = (8, *(size if isinstance(size, int) else 1 for size in (spec.shape or ())[0 if is_sample(spec) else 1 :]))
    if spec.dtype.kind == "f":
        return np.random.default_rng(7).standard_normal(shape).astype(spec.dtype)
    return np.full(shape, "" if spec.dtype == STRING else 0, dtype=spec.dtype)


def why_alone(original: Session, candidate: Session) -> str | None:
    """Return why requests cannot share a run of the candidate, although they can share one of the original, or None."""
    reasons = [operators.reason_against_sharing(each.facts) for each in (original, candidate)]
    return None if reasons[0] is not None else reasons[1]


def speed_of(original: Session, candidate: Session, feeds: Mapping[int, Tensors], *, alone: str | None = None) -> Speed:
    """Measure the candidate in pairs with the original on the runs by their number of rows, ascending from 1.

    If requests cannot share its runs (`alone` is the reason), its rows run one by one, as those of callers would.
    """
    one, full = min(feeds), max(feeds)
    pairs = {
        rows: _pairs(
            _Work(original, [feed]),
            _Work(candidate, [feed] if alone is None else list(_feeds(candidate.signature, feed, 1))),
            budget=_BUDGET if rows in {one, full} else 0.0,
        )
        for rows, feed in feeds.items()
    }
    seconds = {rows: statistics.median(each.candidate for each in found) for rows, found in pairs.items()}
    return Speed(
        one_row=seconds[one],
        full_batch=seconds[full],
        one_row_ratio=ratio(pairs[one]),
        full_batch_ratio=ratio(pairs[full]),
        cost=cost_line(seconds),
        alone=alone,
    )


def seconds_of(session: Session, feeds: Mapping[int, Tensors]) -> dict[int, float]:
    """Measure a session alone: the median seconds of runs by their number of rows."""
    found = {}
    for rows, feed in feeds.items():
        work = _Work(session, [feed])
        repeats = work.repeats()
        found[rows] = statistics.median(work.sample(repeats) for _ in range(_MIN_PAIRS))
    return found


def _pairs(original: "_Work", candidate: "_Work", *, budget: float) -> list[Pair]:
    """Return pairs within about `budget` seconds. Runs before them warm up, and show how many a sample needs."""
    repeats = max(original.repeats(), candidate.repeats())
    least, most = (_MIN_PAIRS, _MAX_PAIRS) if budget else (_LINE_PAIRS, _LINE_PAIRS)
    found: list[Pair] = []
    end = perf_counter() + budget
    while len(found) < least or (len(found) < most and perf_counter() < end):
        found.append(Pair(original.sample(repeats), candidate.sample(repeats)))
    return found


class _Work(NamedTuple):
    """What is measured: a session, and the runs that compute some rows."""

    session: Session
    runs: Sequence[Tensors]

    def repeats(self) -> int:
        """Return how often a sample repeats it; it warms up first."""
        self.sample(1)
        return max(1, math.ceil(_SAMPLE / self.sample(1)))

    def sample(self, repeats: int) -> float:
        """Return its mean seconds over some repetitions.

        They are seconds of the CPU: on one core they are those of a clock, without those in which other processes ran.
        """
        started = process_time()
        for _ in range(repeats):
            for tensors in self.runs:
                self.session.run(tensors)
        return max(process_time() - started, _RESOLUTION) / repeats
