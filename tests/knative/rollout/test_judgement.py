"""When a step fails because of errors, latency or crashes, and when it does not."""

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knative.rollout.judgement import NOTHING, Limits, Sample, find_problem, percentile, tail_probability, upper_bound
from tests.knative.rollout.strategies import ENDS, samples

LIMITS = Limits()


def answers(*, errors: int = 0, **at: int) -> Sample:
    """Return a sample of errors and of successful answers by milliseconds (`ms5=90`), in buckets like the runtime's."""
    ends = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, math.inf)
    counts = dict.fromkeys(ends, 0)
    for name, count in at.items():
        counts[next(end for end in ends if int(name[2:]) / 1000 <= end)] += count
    return Sample(sum(at.values()) + errors, errors, tuple(counts.items()))


def test_a_revision_without_requests_has_no_problem() -> None:
    assert find_problem(NOTHING, NOTHING, LIMITS) is None
    assert find_problem(NOTHING, answers(ms4=1000), LIMITS) is None


@pytest.mark.parametrize(
    ("errors", "requests", "fails"),
    [
        pytest.param(19, 19, False, id="fewer requests than min_requests"),
        pytest.param(20, 20, True, id="all failed"),
        pytest.param(1, 20, False, id="one of twenty"),
        pytest.param(3, 20, False, id="three of twenty: above 0.1 %"),
        pytest.param(4, 20, True, id="four of twenty: below 0.1 %"),
        pytest.param(10, 100, True, id="ten times the allowance"),
        pytest.param(10, 1000, False, id="the allowance itself"),
        pytest.param(30, 1000, True, id="three times the allowance, of a thousand"),
    ],
)
def test_errors_are_compared_with_the_allowance(errors: int, requests: int, *, fails: bool) -> None:
    new = Sample(requests, errors)
    assert (find_problem(new, Sample(100_000, 0), LIMITS) is not None) == fails
    assert (find_problem(new, NOTHING, LIMITS) is not None) == fails  # no others: the allowance alone


@given(sample=samples())
def test_a_revision_with_the_same_answers_as_the_others_never_fails(sample: Sample) -> None:
    assert find_problem(sample, sample, LIMITS) is None


@given(new=samples(), old=samples(), more=st.integers(1, 500))
def test_more_failures_never_make_a_step_pass(new: Sample, old: Sample, more: int) -> None:
    if new.requests >= LIMITS.min_requests and "failed" in (find_problem(new, old, LIMITS) or ""):
        worse = new._replace(requests=new.requests + more, errors=new.errors + more)
        assert find_problem(worse, old, LIMITS) is not None


def test_revisions_of_equal_quality_rarely_fail_in_many_tests() -> None:
    """2 % failures on both sides and a hundred tests of each step: at most 1 % of the rollouts fail by chance."""
    generator = random.Random(7)  # noqa: S311 - a fixed seed
    fails = sum(_fails_by_chance(generator) for _ in range(300))
    assert fails <= 3


def _fails_by_chance(generator: random.Random) -> bool:
    new = old = NOTHING
    for _ in range(100):
        new = new.plus(Sample(5, sum(generator.random() < 0.02 for _ in range(5))))
        old = old.plus(Sample(20, sum(generator.random() < 0.02 for _ in range(20))))
        if find_problem(new, old, LIMITS):
            return True
    return False


@pytest.mark.parametrize(
    ("new", "old", "fails"),
    [
        pytest.param(answers(ms4=100), answers(ms4=1000), False, id="equally fast"),
        pytest.param(answers(ms6=100), answers(ms4=1000), False, id="one bucket slower"),
        pytest.param(answers(ms20=100), answers(ms4=1000), True, id="above the limit"),
        pytest.param(answers(ms4=95, ms20=5), answers(ms4=1000), False, id="5 % slow"),
        pytest.param(answers(ms4=80, ms20=20), answers(ms4=1000), True, id="20 % slow"),
        pytest.param(answers(ms20=15), answers(ms4=1000), False, id="too few requests"),
        pytest.param(answers(ms20=100), answers(ms4=19), False, id="too few answers of the others"),
        pytest.param(answers(ms20=100), answers(ms4=20), True, id="few answers of the others, all faster"),
        pytest.param(
            answers(ms20=60, ms40=120, ms99=15), answers(ms8=354, ms20=222, ms40=42), True, id="slower overall"
        ),
        pytest.param(answers(ms4=70, ms99=30), answers(ms4=700, ms99=300), False, id="the same share of slow answers"),
        pytest.param(answers(ms20=100), NOTHING, False, id="no others"),
        pytest.param(answers(ms4=100), answers(ms20=1000), False, id="faster"),
        pytest.param(answers(ms999=100), answers(ms999=1000), False, id="above the last bound"),
        pytest.param(Sample(100, 0), answers(ms4=1000), False, id="only client errors"),
    ],
)
def test_latency_is_compared_at_the_bounds_of_buckets(new: Sample, old: Sample, *, fails: bool) -> None:
    assert (find_problem(new, old, LIMITS) is not None) == fails


def test_a_higher_ratio_allows_more() -> None:
    new, old = answers(ms20=100), answers(ms4=1000)
    assert find_problem(new, old, LIMITS)
    assert find_problem(new, old, replace(LIMITS, max_latency=10)) is None


def test_one_crash_more_than_the_others_is_allowed_and_two_are_not() -> None:
    assert find_problem(Sample(crashes=1), NOTHING, LIMITS) is None
    assert find_problem(Sample(crashes=2), NOTHING, LIMITS) == (
        "its containers restarted 2 times, those of the other revisions 0 times"
    )
    assert find_problem(Sample(crashes=2), Sample(crashes=1), LIMITS) is None


def test_the_reason_has_the_counts() -> None:
    assert (
        find_problem(Sample(40, 20), Sample(500, 1), LIMITS)
        == "20 of its 40 requests failed; other revisions: 1 of 500"
    )
    reason = find_problem(answers(ms20=100), answers(ms4=1000), LIMITS)
    assert reason == ("100 of its 100 answers took longer than 0.01 s; other revisions: 0 of 1000 longer than 0.005 s")


@given(hits=st.integers(0, 1000), more=st.integers(1, 1000))
def test_the_upper_bound_is_above_the_observed_share(hits: int, more: int) -> None:
    assert hits / (hits + more) < upper_bound(hits, hits + more) <= 1


def test_the_upper_bound_is_the_wilson_bound() -> None:
    """10 of 100 at three standard deviations: (0.145 + 3 * sqrt(0.0009 + 0.000225)) / 1.09."""
    assert upper_bound(10, 100) == pytest.approx((0.145 + 3 * 0.001125**0.5) / 1.09)


@given(hits=st.integers(0, 30), more=st.integers(0, 30), share=st.floats(0.001, 0.999))
def test_the_tail_probability_is_exact(hits: int, more: int, share: float) -> None:
    count = hits + more
    tail = sum(math.comb(count, k) * share**k * (1 - share) ** (count - k) for k in range(hits, count + 1))
    assert tail_probability(hits, count, share) == pytest.approx(1.0 if hits <= count * share else tail, rel=1e-6)


def test_the_tail_probability_at_its_limits() -> None:
    assert tail_probability(1, 10, 0.0) == 0
    assert tail_probability(0, 10, 0.0) == 1
    assert tail_probability(10, 10, 1.5) == 1


@given(sample=samples())
def test_a_percentile_is_within_its_bucket(sample: Sample) -> None:
    total = sum(count for _, count in sample.seconds)
    found = percentile(sample)
    if not total:
        assert math.isnan(found)
        return
    below, at = 0, 0.0
    for end, count in sample.seconds:
        if below + count >= 0.95 * total and count:
            assert at <= found <= end
            return
        below, at = below + count, end


def test_samples_with_different_buckets_count_at_the_higher_bound() -> None:
    fine, coarse = Sample(1, 0, ((0.1, 1), (1.0, 0))), Sample(1, 0, ((1.0, 1),))
    assert fine.plus(coarse) == Sample(2, 0, ((0.1, 1), (1.0, 1)))


@given(one=samples(), other=samples())
def test_adding_samples_loses_nothing(one: Sample, other: Sample) -> None:
    both = one.plus(other)
    assert both == other.plus(one)
    assert both.requests == one.requests + other.requests
    assert sum(count for _, count in both.seconds) == sum(count for _, count in (*one.seconds, *other.seconds))
    assert [end for end, _ in both.seconds] == list(ENDS)
