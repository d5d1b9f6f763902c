"""Properties of a split: its sum is 100, the target never loses, and the others keep their proportions."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knative.rollout.split import Share, Split, format_split, is_same, percent_of, shifted, split_from
from tests.knative.rollout.strategies import REVISIONS, splits, steps

percents = st.integers(0, 100)
targets = st.sampled_from(REVISIONS)


@given(stable=splits(), target=targets, percent=percents)
def test_a_split_sums_to_100_and_has_each_revision_once(stable: Split, target: str, percent: int) -> None:
    shares = shifted(stable, target, percent)
    assert sum(each.percent for each in shares) == 100
    assert all(each.percent > 0 for each in shares)
    assert len({each.revision for each in shares}) == len(shares)


@given(stable=splits(), target=targets, ascending=steps)
def test_the_share_of_the_target_never_decreases(stable: Split, target: str, ascending: tuple[int, ...]) -> None:
    shares = [percent_of(stable, target), *(percent_of(shifted(stable, target, each), target) for each in ascending)]
    assert shares == sorted(shares)


@given(stable=splits(), target=targets, percent=percents)
def test_the_others_keep_their_proportions_within_1_percent(stable: Split, target: str, percent: int) -> None:
    shares = shifted(stable, target, percent)
    rest = 100 - percent_of(shares, target)
    whole = 100 - percent_of(stable, target)
    for each in stable:
        if each.revision != target:
            exact = Fraction(rest * each.percent, whole)
            assert abs(percent_of(shares, each.revision) - exact) < 1


@given(stable=splits(), target=targets)
def test_a_shift_to_the_current_share_changes_nothing(stable: Split, target: str) -> None:
    assert is_same(shifted(stable, target, percent_of(stable, target)), stable)


def test_a_target_without_other_revisions_keeps_100_percent() -> None:
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
def test_the_rest_is_distributed_by_largest_remainders(percent: int, expected: dict[str, int]) -> None:
    stable = (Share("a", 50), Share("b", 33), Share("c", 17))
    assert dict(shifted(stable, "t", percent)) == expected


def test_entries_of_one_revision_are_added_and_0_percent_is_dropped() -> None:
    assert split_from([("a", 30), ("b", 0), ("a", 70)]) == (Share("a", 100),)


def test_the_order_of_a_split_does_not_matter() -> None:
    assert is_same((Share("a", 30), Share("b", 70)), (Share("b", 70), Share("a", 30), Share("c", 0)))
    assert not is_same((Share("a", 30), Share("b", 70)), (Share("b", 30), Share("a", 70)))


def test_a_split_is_formatted_as_percentages() -> None:
    assert format_split((Share("a", 30), Share("b", 70))) == "30 % a, 70 % b"
