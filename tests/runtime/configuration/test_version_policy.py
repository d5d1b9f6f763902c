"""Tests of the choice of the versions that are served from a folder."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.configuration.version_policy import (
    ALL,
    LATEST,
    VersionPolicy,
    parse_policy,
    select_versions,
    version_number,
)
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
def test_a_policy_selects_versions_by_number_with_the_highest_first(
    text: str, policy: VersionPolicy, served: list[int]
) -> None:
    assert parse_policy(text) == parse_policy(str(policy)) == policy
    assert select_versions(policy, {1, 12, 3}) == served


@pytest.mark.parametrize("text", ["newest", "latest:", "latest:0", "latest:x", "1,", "1,x", "-1", "1.0", "²", "9" * 20])
def test_the_error_for_an_invalid_policy_has_the_allowed_forms(text: str) -> None:
    with pytest.raises(BadSetting, match="expected latest, latest:N, all, or version numbers such as 1,3"):
        settings_from({"SCALEZERO_MODEL_VERSIONS": text})


@pytest.mark.parametrize(
    ("name", "number"),
    [("1", 1), ("007", 7), (str(2**63 - 1), 2**63 - 1), (str(2**63), None), ("v1", None), ("", None), ("1.0", None)],
)
def test_only_a_whole_number_below_2_63_is_a_version(name: str, number: int | None) -> None:
    assert version_number(name) == number


@given(st.sets(st.integers(0, 50)), st.integers(1, 60))
def test_latest_selects_the_highest_versions(available: set[int], count: int) -> None:
    selected = select_versions(VersionPolicy(latest=count), available)
    assert len(selected) == min(count, len(available))
    assert all(version > other for version in selected for other in available - set(selected))
