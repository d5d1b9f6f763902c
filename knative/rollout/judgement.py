"""The comparison of the new revision with the others: errors, latency and crashes.

Errors: the error rate of the others has an upper bound (Wilson), and the allowance `max_error_rate` is added to it. The
new revision fails the step if its errors have a probability below 0.1 % at that rate (the exact binomial tail). So
neither a single failure among many requests nor the absence of requests fails a step.

Latency: it is compared at the upper bounds of the histogram's buckets, where the histogram is exact. If the new
revision takes at most `max_latency` times as long as the others, then for every s its share of answers slower than
max_latency * s is at most the others' share of answers slower than s. The same test as for errors compares both shares,
for each s that at least half of the others' answers kept, with max_latency * s rounded up to the next bucket. Slow
answers of up to 5 % are always allowed.
"""

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

_SIGNIFICANCE: Final = 0.001  # low, because a step is tested about thirty times, on mostly the same answers
_DEVIATIONS: Final = 3.0  # standard deviations: about the same probability
_NEGLIGIBLE: Final = 1e-12  # relative size of the last term of a sum
_PERCENTILE: Final = 0.95
_MAX_SLOWER: Final = 0.5  # share of the others' answers above the lowest latency that is compared


class Sample(NamedTuple):
    """The answers of pods over some time."""

    requests: int = 0
    errors: int = 0  # 5xx and 429; any other 4xx is the caller's error
    seconds: tuple[tuple[float, int], ...] = ()  # successful answers by the upper bounds of their buckets, ascending
    crashes: int = 0  # restarts of containers

    def plus(self, other: "Sample") -> "Sample":
        """Add two samples. If their buckets differ, an answer counts at the upper bound of its own bucket."""
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
    """The duration of a step, and its limits of errors, latency and crashes."""

    interval: float = 60.0  # s to watch a step
    timeout: float = 300.0  # s for a pod to become Ready, or for the Route to apply a split
    max_error_rate: float = 0.01  # share of all requests, above the others' error rate
    max_latency: float = 2.0  # as a multiple of the others'
    min_requests: int = 20  # of the new revision; also the answers of the others for a comparison of latency
    max_crashes: int = 1  # above the others'; a single one can be the fault of its node
    halt: bool = False  # keep the split after a failure, instead of a rollback


def upper_bound(hits: int, count: int) -> float:
    """Return an upper bound of the true share, from `hits` of `count` observations; `count` is at least 1.

    Source: Wilson (1927), Probable inference, the law of succession, and statistical inference.
    """
    share, square = hits / count, _DEVIATIONS**2
    middle = share + square / (2 * count)
    reach = _DEVIATIONS * math.sqrt(share * (1 - share) / count + square / (4 * count**2))
    return min(1.0, (middle + reach) / (1 + square / count))


def tail_probability(hits: int, count: int, share: float) -> float:
    """Return the probability of `hits` or more of `count`, each with the probability `share`.

    This is the exact binomial tail; 1 if there are no more hits than expected.
    """
    if hits <= count * share:
        return 1.0
    if share <= 0:
        return 0.0
    ways = math.lgamma(count + 1) - math.lgamma(hits + 1) - math.lgamma(count - hits + 1)
    term = total = math.exp(ways + hits * math.log(share) + (count - hits) * math.log1p(-share))
    for more in range(hits, count):
        term *= (count - more) / (more + 1) * share / (1 - share)
        total += term
        if term <= total * _NEGLIGIBLE:
            break
    return total


def find_problem(new: Sample, old: Sample, limits: Limits) -> str | None:
    """Return why the new revision fails the step; None if it does not.

    Without requests of the others, its errors are compared with the allowance alone, and its latency with nothing.
    """
    if new.crashes > old.crashes + limits.max_crashes:
        return f"its containers restarted {new.crashes} times, those of the other revisions {old.crashes} times"
    if new.requests < limits.min_requests:
        return None
    return _errors(new, old, limits) or _latency(new, old, limits)


def percentile(sample: Sample) -> float:
    """Estimate the 95th percentile of the latency of successful answers, in seconds; NaN without answers.

    Interpolates within a bucket, as Prometheus' histogram_quantile does; infinity above the last finite bound.
    """
    total = _answers(sample)
    below, start = 0, 0.0
    for end, count in sample.seconds:
        if count and below + count >= _PERCENTILE * total:
            return end if math.isinf(end) else start + (end - start) * (_PERCENTILE * total - below) / count
        below, start = below + count, end
    return math.nan


def _errors(new: Sample, old: Sample, limits: Limits) -> str | None:
    usual = upper_bound(old.errors, old.requests) if old.requests else 0.0
    if tail_probability(new.errors, new.requests, usual + limits.max_error_rate) >= _SIGNIFICANCE:
        return None
    return f"{new.errors} of its {new.requests} requests failed; other revisions: {old.errors} of {old.requests}"


def _latency(new: Sample, old: Sample, limits: Limits) -> str | None:
    answers, others = _answers(new), _answers(old)
    ends = [end for end, _ in old.seconds]
    slower = others
    for end, count in old.seconds:
        slower -= count
        if slower > _MAX_SLOWER * others or others < limits.min_requests:
            continue
        bound = next((each for each in ends if each >= limits.max_latency * end), math.inf)
        slow = sum(count for start, count in _starts(new) if start >= bound)
        if tail_probability(slow, answers, max(1 - _PERCENTILE, upper_bound(slower, others))) < _SIGNIFICANCE:
            return (
                f"{slow} of its {answers} answers took longer than {bound:g} s; "
                f"other revisions: {slower} of {others} longer than {end:g} s"
            )
    return None


def _answers(sample: Sample) -> int:
    return sum(count for _, count in sample.seconds)


def _starts(sample: Sample) -> list[tuple[float, int]]:
    """Return the count of each bucket with its lower bound."""
    ends = [end for end, _ in sample.seconds]
    return list(zip([0.0, *ends[:-1]], (count for _, count in sample.seconds), strict=True)) if ends else []
