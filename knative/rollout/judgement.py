"""Whether the numbers speak against the new revision: its errors, its latency and its crashes beside the old ones'.

Only evidence counts. The others' share of failures is known up to an upper bound (Wilson's), to which an allowance is
added; the new revision is blamed when what it shows would come by chance once in a thousand times if it kept to that
(the exact binomial tail). So one failure of many is no evidence, and neither is silence.

Latency is compared where a histogram is exact, at the ends of its buckets. If the new revision took at most `limit`
times as long as the others, no greater share of its answers would be slower than limit x s than of theirs are slower
than s, for every s. So the question is the same as with failures: it is asked for each s that half of the others
kept to, with limit x s rounded up to the next end of a bucket. One slow answer in twenty is always let pass.
"""

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

_UNLIKELY: Final = 0.001  # a step is looked at some thirty times, on numbers that mostly stay
_SURENESS: Final = 3.0  # standard deviations: about the same
_NEGLIGIBLE: Final = 1e-12  # of a sum
_PERCENTILE: Final = 0.95
_USUAL: Final = 0.5  # of the others' answers may be slower than where latencies are compared


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
    max_latency: float = 2.0  # times the others'
    min_requests: int = 20  # of the new revision, and answers of the others, below which nothing is judged
    max_crashes: int = 1  # on top of the others'; a single one can be the node's fault
    halts: bool = False  # leave the split as it is for a person to look at, instead of going back


def at_most(hits: int, count: int) -> float:
    """Bound the share that a sample of at least one comes from.

    Source: Wilson (1927), Probable inference, the law of succession, and statistical inference.
    """
    share, square = hits / count, _SURENESS**2
    middle = share + square / (2 * count)
    reach = _SURENESS * math.sqrt(share * (1 - share) / count + square / (4 * count**2))
    return min(1.0, (middle + reach) / (1 + square / count))


def by_chance(hits: int, count: int, share: float) -> float:
    """Say how likely `hits` or more of `count` are, where each is one with the probability `share`.

    The exact binomial tail, from its largest term on; 1 where there are no more hits than is to be expected anyway.
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


def against(new: Sample, old: Sample, limits: Limits) -> str | None:
    """Say what speaks against the new revision; None is nothing.

    Without any request of the others, its errors are held against the allowance alone, and its latency against nothing.
    """
    if new.crashes > old.crashes + limits.max_crashes:
        return f"its containers were started again {new.crashes} times, the others' {old.crashes} times"
    if new.requests < limits.min_requests:
        return None
    return _errors(new, old, limits) or _latency(new, old, limits)


def percentile(sample: Sample) -> float:
    """Estimate the latency, in seconds, that 95 % of the good answers kept to; NaN without answers.

    Interpolated within its bucket, as Prometheus' histogram_quantile does it; infinity past the last end.
    """
    total = _answers(sample)
    below, start = 0, 0.0
    for end, count in sample.seconds:
        if count and below + count >= _PERCENTILE * total:
            return end if math.isinf(end) else start + (end - start) * (_PERCENTILE * total - below) / count
        below, start = below + count, end
    return math.nan


def _errors(new: Sample, old: Sample, limits: Limits) -> str | None:
    usual = at_most(old.errors, old.requests) if old.requests else 0.0
    if by_chance(new.errors, new.requests, usual + limits.max_error_rate) >= _UNLIKELY:
        return None
    return f"{new.errors} of its {new.requests} requests failed, of the others' {old.requests} {old.errors}"


def _latency(new: Sample, old: Sample, limits: Limits) -> str | None:
    answers, others = _answers(new), _answers(old)
    ends = [end for end, _ in old.seconds]
    slower = others
    for end, count in old.seconds:
        slower -= count
        if slower > _USUAL * others or others < limits.min_requests:
            continue
        bound = next((each for each in ends if each >= limits.max_latency * end), math.inf)
        slow = sum(count for start, count in _starts(new) if start >= bound)
        if by_chance(slow, answers, max(1 - _PERCENTILE, at_most(slower, others))) < _UNLIKELY:
            return (
                f"{slow} of its {answers} answers took longer than {bound:g} s, "
                f"of the others' {others} only {slower} longer than {end:g} s"
            )
    return None


def _answers(sample: Sample) -> int:
    return sum(count for _, count in sample.seconds)


def _starts(sample: Sample) -> list[tuple[float, int]]:
    """Give each bucket by its lower end."""
    ends = [end for end, _ in sample.seconds]
    return list(zip([0.0, *ends[:-1]], (count for _, count in sample.seconds), strict=True)) if ends else []
