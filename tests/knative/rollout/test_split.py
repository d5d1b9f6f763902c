"""The laws of a split: whole, rising for the target, and fair to the others."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knative.rollout.split import Share, Split, format_split, is_same, percent_of, shifted, split_from
from tests.knative.rollout.strategies import REVISIONS, splits, steps

percents = st.integers(0, 100)
targets = st.sampled_from(REVISIONS)


@given(stable=splits(), target=targets, percent=percents)
def test_a_split_sums_to_100_and_has_nobody_twice(stable: Split, target: str, percent: int) -> None:
    shares = shifted(stable, target, percent)
    assert sum(each.percent for each in shares) == 100
    assert all(each.percent > 0 for each in shares)
    assert len({each.revision for each in shares}) == len(shares)


@given(stable=splits(), target=targets, rising=steps)
def test_the_targets_share_never_falls(stable: Split, target: str, rising: tuple[int, ...]) -> None:
    shares = [percent_of(stable, target), *(percent_of(shifted(stable, target, each), target) for each in rising)]
    assert shares == sorted(shares)


@given(stable=splits(), target=targets, percent=percents)
def test_the_others_keep_their_proportions_to_less_than_a_percent(stable: Split, target: str, percent: int) -> None:
    shares = shifted(stable, target, percent)
    rest = 100 - percent_of(shares, target)
    whole = 100 - percent_of(stable, target)
    for each in stable:
        if each.revision != target:
            exact = Fraction(rest * each.percent, whole)
            assert abs(percent_of(shares, each.revision) - exact) < 1


@given(stable=splits(), target=targets)
def test_a_share_that_the_target_has_already_changes_nothing(stable: Split, target: str) -> None:
    assert is_same(shifted(stable, target, percent_of(stable, target)), stable)


def test_the_target_alone_has_everything() -> None:
    alone = (Share("m-v1", 100),)
    assert shifted(alone, "m-v1", 5) == alone


@pytest.mark.parametrize(
    ("percent", "expected"),
    [
        (5, {"a": 48, "b": 31, "c": 16, "t": 5}),  # exact parts 47.5, 31.67, 15.83
        (99, {"a": 1, "t": 99}),
        (100, {"t": 100}),
    ],
)
def test_the_rest_is_dealt_out_by_largest_remainders(percent: int, expected: dict[str, int]) -> None:
    stable = (Share("a", 50), Share("b", 33), Share("c", 17))
    assert dict(shifted(stable, "t", percent)) == expected


def test_entries_of_one_revision_are_one_share_and_nothing_is_none() -> None:
    assert split_from([("a", 30), ("b", 0), ("a", 70)]) == (Share("a", 100),)


def test_the_order_of_a_split_means_nothing() -> None:
    assert is_same((Share("a", 30), Share("b", 70)), (Share("b", 70), Share("a", 30), Share("c", 0)))
    assert not is_same((Share("a", 30), Share("b", 70)), (Share("b", 30), Share("a", 70)))


def test_a_split_reads_as_shares() -> None:
    assert format_split((Share("a", 30), Share("b", 70))) == "30 % a, 70 % b"
