"""Whether the numbers speak against the new revision: its errors, its latency and its crashes beside the old ones'.

Only evidence counts. A share of failures is known as an interval (Wilson's score interval), and the new revision is
blamed when even the lower end of its interval is past the upper end of the others' plus an allowance. The fewer
requests were seen, the wider the intervals: one failure out of three is no evidence, and neither is silence.

Latency is compared where a histogram is exact, at the ends of its buckets. If the new revision kept to the limit, at
most 5 % of its answers would be slower than limit x the others' 95th percentile, rounded up to the next end of a
bucket. Counting those that are slower is the same question as counting failures.
"""

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

# Standard deviations; about one in a thousand on either side, as a step is looked at some thirty times.
_SURENESS: Final = 3.0
_PERCENTILE: Final = 0.95


class Sample(NamedTuple):
    """What pods have answered over some time."""

    requests: int = 0
    errors: int = 0  # 5xx and 429; any other 4xx is the caller's
    seconds: tuple[tuple[float, int], ...] = ()  # good answers by the upper ends of their buckets, rising
    crashes: int = 0  # containers that were started again

    def plus(self, other: "Sample") -> "Sample":
        """Put two together. Where their buckets differ, an answer counts as slow as the end of its own one."""
        buckets = dict(self.seconds)
        for end, count in other.seconds:
            buckets[end] = buckets.get(end, 0) + count
        return Sample(
            self.requests + other.requests,
            self.errors + other.errors,
            tuple(sorted(buckets.items())),
            self.crashes + other.crashes,
        )


NOTHING: Final = Sample()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How long a step lasts and what it may show."""

    interval: float = 60.0  # s that a step is watched
    patience: float = 300.0  # s for pods to come up, or for the Route to take a split
    max_error_rate: float = 0.01  # of all requests, on top of what the others have
    max_latency: float = 2.0  # times the others' 95th percentile
    min_requests: int = 20  # of the new revision, below which its requests are not judged
    max_crashes: int = 1  # on top of the others'; a single one can be the node's fault
    halts: bool = False  # leave the split as it is for a person to look at, instead of going back


class Interval(NamedTuple):
    """Where a share lies, for all that is known."""

    low: float
    high: float


def wilson(hits: int, count: int) -> Interval:
    """Bound a share from a sample of it; count is 0 for nothing known.

    Source: Wilson (1927), Probable inference, the law of succession, and statistical inference.
    """
    if count == 0:
        return Interval(0.0, 1.0)
    share, square = hits / count, _SURENESS**2
    middle = share + square / (2 * count)
    reach = _SURENESS * math.sqrt(share * (1 - share) / count + square / (4 * count**2))
    scale = 1 + square / count
    return Interval(max(0.0, (middle - reach) / scale), min(1.0, (middle + reach) / scale))


def against(new: Sample, old: Sample, limits: Limits) -> str | None:
    """Say what speaks against the new revision; None is nothing.

    Without any request of the others, its errors are held against the allowance alone, and its latency against nothing.
    """
    if new.crashes > old.crashes + limits.max_crashes:
        return f"its containers were started again {new.crashes} times, the others' {old.crashes} times"
    if new.requests < limits.min_requests:
        return None
    return _errors(new, old, limits) or _latency(new, old, limits)


def percentile(sample: Sample, share: float = _PERCENTILE) -> float:
    """Estimate the latency, in seconds, that `share` of the good answers kept to; NaN without answers.

    Interpolated within its bucket, as Prometheus' histogram_quantile does it.
    """
    total = sum(count for _, count in sample.seconds)
    if not total:
        return math.nan
    below, start = 0, 0.0
    for end, count in sample.seconds:
        if count and below + count >= share * total:
            return end if math.isinf(end) else start + (end - start) * (share * total - below) / count
        below, start = below + count, end
    return math.inf  # share is beyond the whole


def _errors(new: Sample, old: Sample, limits: Limits) -> str | None:
    usual = wilson(old.errors, old.requests).high if old.requests else 0.0
    if wilson(new.errors, new.requests).low <= usual + limits.max_error_rate:
        return None
    return f"{_rate(new)} of its requests failed, and {_rate(old)} of the others'"


def _latency(new: Sample, old: Sample, limits: Limits) -> str | None:
    answers = sum(count for _, count in new.seconds)
    bound = _slow(old, limits.max_latency)
    slow = sum(count for start, count in _starts(new) if start >= bound)
    if not slow or wilson(slow, answers).low <= 1 - _PERCENTILE:
        return None
    usual = percentile(old)
    return (
        f"{slow} of its {answers} answers took longer than {bound:g} s, "
        f"which is more than {limits.max_latency:g} x the others' 95th percentile ({usual:.3g} s)"
    )


def _slow(old: Sample, ratio: float) -> float:
    """Find the end of a bucket past which an answer is slower than the limit; infinity where too little is known."""
    answers = sum(count for _, count in old.seconds)
    if not answers:
        return math.inf
    share = _PERCENTILE + _SURENESS * math.sqrt(_PERCENTILE * (1 - _PERCENTILE) / answers)
    usual = percentile(old, share)
    bound = max(ratio * usual, next((end for end, _ in old.seconds if end >= usual), math.inf))
    return next((end for end, _ in old.seconds if end >= bound), math.inf)


def _starts(sample: Sample) -> list[tuple[float, int]]:
    """Give each bucket by its lower end."""
    ends = [end for end, _ in sample.seconds]
    return list(zip([0.0, *ends[:-1]], (count for _, count in sample.seconds), strict=True)) if ends else []


def _rate(sample: Sample) -> str:
    return f"{sample.errors} of {sample.requests}"
