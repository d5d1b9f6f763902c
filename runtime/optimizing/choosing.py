"""The choice: the fastest candidate within the bounds, and a reason for each rejection. Pure."""

from collections.abc import Sequence
from typing import Final, NamedTuple

from runtime.optimizing.accuracy import Metric
from runtime.optimizing.candidates import Candidate
from runtime.optimizing.timing import Ratio
from runtime.variants.bounds import Bounds
from runtime.variants.values import CPU_PROVIDER, ORIGINAL, Cost, Measurement

_SIMILAR: Final = 0.95  # candidates with this share of the highest speed count as equally fast
NO_DATA: Final = "its accuracy cannot be judged, as there is no calibration and no evaluation data"


class Speed(NamedTuple):
    """The measured speed of a candidate, in pairs with the original."""

    one_row: float  # seconds of a run, median
    full_batch: float
    one_row_ratio: Ratio
    full_batch_ratio: Ratio
    cost: Cost | None
    alone: str | None = None  # why its rows run one by one, although those of the original share runs


class Trial(NamedTuple):
    """What became of one candidate."""

    candidate: Candidate
    failure: str | None = None  # why it could not be made or run
    speed: Speed | None = None
    score: float | None = None


class Standard(NamedTuple):
    """What the candidates are compared with: the original's score, and the bounds."""

    metric: Metric | None  # None: there is no data
    score: float | None
    batch_size: int
    bounds: Bounds


class Choice(NamedTuple):
    """The chosen variant, and why."""

    name: str
    reason: str


def rejection(trial: Trial, standard: Standard) -> str | None:
    """Return why a candidate is not acceptable; None: it is."""
    if trial.failure is not None or trial.speed is None:
        return trial.failure or "it was not measured"
    return _too_inaccurate(trial, standard) or _too_slow(trial.speed, standard)


def _too_inaccurate(trial: Trial, standard: Standard) -> str | None:
    lost = loss(trial, standard)
    if lost is None:
        return None if standard.bounds.accept_unjudged else NO_DATA
    allowed = standard.bounds.max_accuracy_loss
    if lost <= allowed:
        return None
    return f"its {standard.metric} is {trial.score:.4f} instead of {standard.score:.4f}: more than {allowed:g} less"


def _too_slow(speed: Speed, standard: Standard) -> str | None:
    """A candidate is faster only if three of four pairs show it, so that noise alone chooses none."""
    full, one, needed = speed.full_batch_ratio, speed.one_row_ratio, standard.bounds.min_speedup
    if full.low < needed:
        often = "" if full.median < needed else f", but in a quarter of the pairs only {full.low:.2f} x"
        rows = _rows(standard.batch_size)
        alone = f" (requests cannot share its runs: {speed.alone})" if speed.alone else ""
        return f"with {rows} it is {full.median:.2f} x as fast as the original{often}; needed: {needed:g} x{alone}"
    if one.high < 1:
        return f"with 1 row it is slower than the original: {one.median:.2f} x as fast"
    return None


def loss(trial: Trial, standard: Standard) -> float | None:
    """Return how much lower the candidate's score is than the original's; None: it is not judged."""
    if trial.score is None or standard.score is None:
        return None
    return standard.score - trial.score


def choose(trials: Sequence[Trial], standard: Standard) -> Choice:
    """Choose the fastest acceptable candidate; of those that are about as fast, the most accurate one."""
    usable = [each for each in trials if rejection(each, standard) is None]
    if not usable:
        return Choice(ORIGINAL, _why_original(trials, standard))
    fastest = max(map(_speedup, usable))
    similar = [each for each in usable if _speedup(each) >= _SIMILAR * fastest]
    best = min(similar, key=lambda each: (loss(each, standard) or 0.0, each.candidate.provider != CPU_PROVIDER))
    return Choice(best.candidate.name, _why(best, standard))


def _why(best: Trial, standard: Standard) -> str:
    faster = f"{_speedup(best):.2f} x as fast as the original with {_rows(standard.batch_size)}"
    lost = loss(best, standard)
    if lost is None:
        return f"{faster}; its accuracy is not judged, which was accepted"
    compared = f"{standard.metric} {best.score:.4f}" + (
        "" if standard.metric == "agreement" else f" instead of {standard.score:.4f}"
    )
    return f"{faster}; {compared}, a loss of {max(0.0, lost):.4f} of at most {standard.bounds.max_accuracy_loss:g}"


def _why_original(trials: Sequence[Trial], standard: Standard) -> str:
    if standard.metric is None and not standard.bounds.accept_unjudged:
        return "the accuracy of the candidates cannot be judged, as there is no calibration and no evaluation data"
    measured = [each for each in trials if each.speed is not None]
    if not measured:
        reasons = {each.failure for each in trials if each.candidate.method is not None}
        return f"no candidate could be made and run{f': {reasons.pop()}' if len(reasons) == 1 else ''}"
    best = max(measured, key=_speedup)
    return (
        f"no candidate is faster within the bounds; the fastest is {best.candidate.name}: {rejection(best, standard)}"
    )


def measurement(trial: Trial, standard: Standard) -> Measurement:
    """Return what is recorded of a candidate."""
    speed = trial.speed
    return Measurement(
        variant=trial.candidate.name,
        provider=trial.candidate.provider,
        one_row=speed and speed.one_row,
        full_batch=speed and speed.full_batch,
        cost=speed and speed.cost,
        speedup=speed and speed.full_batch_ratio.median,
        score=trial.score,
        loss=loss(trial, standard),
        rejected=rejection(trial, standard),
    )


def _speedup(trial: Trial) -> float:
    return trial.speed.full_batch_ratio.median if trial.speed else 0.0


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"
