"""What is evidence against a revision, and what is not."""

import math
import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knative.rollout.judgement import NOTHING, Limits, Sample, against, at_most, by_chance, percentile
from tests.knative.rollout.strategies import ENDS, samples

LIMITS = Limits()


def answers(*, errors: int = 0, **at: int) -> Sample:
    """Good answers by milliseconds (`ms5=90`), in the runtime's kind of buckets, and errors."""
    ends = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, math.inf)
    counts = dict.fromkeys(ends, 0)
    for name, count in at.items():
        counts[next(end for end in ends if int(name[2:]) / 1000 <= end)] += count
    return Sample(sum(at.values()) + errors, errors, tuple(counts.items()))


def test_silence_is_no_evidence() -> None:
    assert against(NOTHING, NOTHING, LIMITS) is None
    assert against(NOTHING, answers(ms4=1000), LIMITS) is None


@pytest.mark.parametrize(
    ("errors", "requests", "blamed"),
    [
        pytest.param(19, 19, False, id="fewer than are judged, whatever they were"),
        pytest.param(20, 20, True, id="all of them failed"),
        pytest.param(1, 20, False, id="one is chance"),
        pytest.param(3, 20, False, id="three of twenty come by chance once in a thousand times"),
        pytest.param(4, 20, True, id="four do not"),
        pytest.param(10, 100, True, id="a tenth of a hundred is none"),
        pytest.param(10, 1000, False, id="the allowance itself"),
        pytest.param(30, 1000, True, id="three times the allowance, of many"),
    ],
)
def test_errors_are_held_against_the_allowance(errors: int, requests: int, *, blamed: bool) -> None:
    new = Sample(requests, errors)
    assert (against(new, Sample(100_000, 0), LIMITS) is not None) == blamed
    assert (against(new, NOTHING, LIMITS) is not None) == blamed  # nobody to compare with: the allowance alone


@given(sample=samples())
def test_a_revision_that_does_what_the_others_do_is_never_blamed(sample: Sample) -> None:
    assert against(sample, sample, LIMITS) is None


@given(new=samples(), old=samples(), more=st.integers(1, 500))
def test_more_failures_never_clear_a_revision(new: Sample, old: Sample, more: int) -> None:
    if new.requests >= LIMITS.min_requests and "failed" in (against(new, old, LIMITS) or ""):
        worse = new._replace(requests=new.requests + more, errors=new.errors + more)
        assert against(worse, old, LIMITS) is not None


def test_the_same_quality_is_hardly_ever_blamed_though_it_is_looked_at_often() -> None:
    """2 % failures on either side and a hundred looks at each step: at most one rollout in a hundred ends by chance."""
    chance = random.Random(7)  # noqa: S311 - the same numbers each time
    blamed = sum(_blamed_by_chance(chance) for _ in range(300))
    assert blamed <= 3


def _blamed_by_chance(chance: random.Random) -> bool:
    new = old = NOTHING
    for _ in range(100):
        new = new.plus(Sample(5, sum(chance.random() < 0.02 for _ in range(5))))
        old = old.plus(Sample(20, sum(chance.random() < 0.02 for _ in range(20))))
        if against(new, old, LIMITS):
            return True
    return False


@pytest.mark.parametrize(
    ("new", "old", "blamed"),
    [
        pytest.param(answers(ms4=100), answers(ms4=1000), False, id="as fast"),
        pytest.param(answers(ms6=100), answers(ms4=1000), False, id="the next bucket may be a hair slower"),
        pytest.param(answers(ms20=100), answers(ms4=1000), True, id="past the limit"),
        pytest.param(answers(ms4=95, ms20=5), answers(ms4=1000), False, id="one in twenty is let pass"),
        pytest.param(answers(ms4=80, ms20=20), answers(ms4=1000), True, id="one in five is not"),
        pytest.param(answers(ms20=15), answers(ms4=1000), False, id="too few to judge"),
        pytest.param(answers(ms20=100), answers(ms4=19), False, id="too few others to compare with"),
        pytest.param(
            answers(ms20=100), answers(ms4=20), True, id="a few others, and all of it slower than all of them"
        ),
        pytest.param(
            answers(ms20=60, ms40=120, ms99=15), answers(ms8=354, ms20=222, ms40=42), True, id="slower on the whole"
        ),
        pytest.param(answers(ms4=70, ms99=30), answers(ms4=700, ms99=300), False, id="as many slow ones as the others"),
        pytest.param(answers(ms20=100), NOTHING, False, id="no others"),
        pytest.param(answers(ms4=100), answers(ms20=1000), False, id="faster"),
        pytest.param(answers(ms999=100), answers(ms999=1000), False, id="past the last bucket nothing is known"),
        pytest.param(Sample(100, 0), answers(ms4=1000), False, id="no good answers, all the callers' faults"),
    ],
)
def test_latency_is_compared_where_buckets_end(new: Sample, old: Sample, *, blamed: bool) -> None:
    assert (against(new, old, LIMITS) is not None) == blamed


def test_a_higher_ratio_lets_more_pass() -> None:
    new, old = answers(ms20=100), answers(ms4=1000)
    assert against(new, old, LIMITS)
    assert against(new, old, replace(LIMITS, max_latency=10)) is None


def test_a_crash_more_than_the_others_is_the_nodes_perhaps_and_two_are_not() -> None:
    assert against(Sample(crashes=1), NOTHING, LIMITS) is None
    assert against(Sample(crashes=2), NOTHING, LIMITS) == (
        "its containers were started again 2 times, the others' 0 times"
    )
    assert against(Sample(crashes=2), Sample(crashes=1), LIMITS) is None


def test_the_reason_says_what_was_counted() -> None:
    assert against(Sample(40, 20), Sample(500, 1), LIMITS) == "20 of its 40 requests failed, of the others' 500 1"
    reason = against(answers(ms20=100), answers(ms4=1000), LIMITS)
    assert reason == ("100 of its 100 answers took longer than 0.01 s, of the others' 1000 only 0 longer than 0.005 s")


@given(hits=st.integers(0, 1000), more=st.integers(1, 1000))
def test_a_bound_is_above_what_was_seen(hits: int, more: int) -> None:
    assert hits / (hits + more) < at_most(hits, hits + more) <= 1


def test_a_bound_is_wilsons() -> None:
    """10 of 100 at three standard deviations: (0.145 + 3 * sqrt(0.0009 + 0.000225)) / 1.09."""
    assert at_most(10, 100) == pytest.approx((0.145 + 3 * 0.001125**0.5) / 1.09)


@given(hits=st.integers(0, 30), more=st.integers(0, 30), share=st.floats(0.001, 0.999))
def test_chance_is_the_binomial_tail(hits: int, more: int, share: float) -> None:
    count = hits + more
    tail = sum(math.comb(count, k) * share**k * (1 - share) ** (count - k) for k in range(hits, count + 1))
    assert by_chance(hits, count, share) == pytest.approx(1.0 if hits <= count * share else tail, rel=1e-6)


def test_what_never_happens_does_not_come_by_chance() -> None:
    assert by_chance(1, 10, 0.0) == 0
    assert by_chance(0, 10, 0.0) == 1
    assert by_chance(10, 10, 1.5) == 1


@given(sample=samples())
def test_a_percentile_lies_in_its_bucket(sample: Sample) -> None:
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


def test_samples_of_different_buckets_add_up_to_the_slower_reading() -> None:
    fine, coarse = Sample(1, 0, ((0.1, 1), (1.0, 0))), Sample(1, 0, ((1.0, 1),))
    assert fine.plus(coarse) == Sample(2, 0, ((0.1, 1), (1.0, 1)))


@given(one=samples(), other=samples())
def test_adding_samples_loses_nothing(one: Sample, other: Sample) -> None:
    both = one.plus(other)
    assert both == other.plus(one)
    assert both.requests == one.requests + other.requests
    assert sum(count for _, count in both.seconds) == sum(count for _, count in (*one.seconds, *other.seconds))
    assert [end for end, _ in both.seconds] == list(ENDS)
