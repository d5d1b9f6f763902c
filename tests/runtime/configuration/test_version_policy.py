"""Which versions of a folder are served."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.configuration.version_policy import ALL, LATEST, VersionPolicy, chosen, parse_policy, version_number
from runtime.errors import BadSetting
from runtime.settings import settings_from


@pytest.mark.parametrize(
    ("text", "policy", "served"),
    [
        ("latest", LATEST, [12]),
        ("latest:2", VersionPolicy(latest=2), [12, 3]),
        ("latest:9", VersionPolicy(latest=9), [12, 3, 1]),
        ("all", ALL, [12, 3, 1]),
        ("3", VersionPolicy(named=(3,)), [3]),
        ("1, 12, 7", VersionPolicy(named=(1, 12, 7)), [12, 1]),
    ],
)
def test_a_policy_chooses_by_number_and_the_highest_come_first(
    text: str, policy: VersionPolicy, served: list[int]
) -> None:
    assert parse_policy(text) == parse_policy(str(policy)) == policy
    assert chosen(policy, {1, 12, 3}) == served


@pytest.mark.parametrize("text", ["newest", "latest:", "latest:0", "latest:x", "1,", "1,x", "-1", "1.0", "²", "9" * 20])
def test_what_is_no_policy_is_refused_with_what_one_is(text: str) -> None:
    with pytest.raises(BadSetting, match="expected latest, latest:N, all, or version numbers such as 1,3"):
        settings_from({"SCALEZERO_MODEL_VERSIONS": text})


@pytest.mark.parametrize(
    ("name", "number"),
    [("1", 1), ("007", 7), (str(2**63 - 1), 2**63 - 1), (str(2**63), None), ("v1", None), ("", None), ("1.0", None)],
)
def test_only_a_whole_number_of_64_bits_names_a_version(name: str, number: int | None) -> None:
    assert version_number(name) == number


@given(st.sets(st.integers(0, 50)), st.integers(1, 60))
def test_the_latest_are_never_below_what_is_left_out(there: set[int], count: int) -> None:
    served = chosen(VersionPolicy(latest=count), there)
    assert len(served) == min(count, len(there))
    assert all(version > other for version in served for other in there - set(served))
