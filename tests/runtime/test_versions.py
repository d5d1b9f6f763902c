"""The order of versions, and the number of each."""

from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from runtime.configuration.values import is_version_label
from runtime.versions import number, order, with_number

WORDS = st.from_regex(r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,20}", fullmatch=True).filter(is_version_label)
PARTS = st.integers(0, 999)
DOTTED = st.tuples(PARTS, PARTS, PARTS).map(lambda parts: ".".join(map(str, parts)))
WHOLE = st.integers(0, 2**62 - 1).map(str)


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ("7", 7),
        ("0", 0),
        ("20241128", 20241128),
        ("1.0.0", 1_000_000),
        ("1.2.3", 1_002_003),
        ("2.1", 2_001_000),
        ("2024.11.28", 2_024_011_028),
        (str(2**62 - 1), 2**62 - 1),
    ],
)
def test_the_number_of_a_version_of_digits(version: str, expected: int) -> None:
    assert number(version) == expected


@pytest.mark.parametrize("version", ["1.0.0-rc1", "v3", "latest", "1.2.3.4", "1.1000.0", str(2**62), "9" * 63, "1."])
def test_the_number_of_any_other_text_is_above_those_from_digits(version: str) -> None:
    assert 2**62 <= number(version) < 2**63
    assert number(version) == number(version)
    assert number(version) != number(version + "0")


@given(WORDS)
def test_every_version_has_an_int64_number(version: str) -> None:
    assert 0 <= number(version) < 2**63
    assert with_number([version], number(version)) == version


@given(st.one_of(st.tuples(DOTTED, DOTTED), st.tuples(WHOLE, WHOLE)))
def test_numbers_have_the_order_of_their_versions(pair: tuple[str, str]) -> None:
    one, other = pair
    assume(one != other)
    assert (number(one) < number(other)) is (order(one) < order(other))


def test_an_unknown_number_finds_no_version() -> None:
    assert with_number(["1", "2"], 3) is None
    assert with_number(["1.0.0", "2.0.0"], 2_000_000) == "2.0.0"


def test_versions_have_the_order_of_semantic_versioning() -> None:
    rising = [
        "alpha",
        "latest",
        "0.9",
        "1.0.0-alpha",
        "1.0.0-alpha.1",
        "1.0.0-alpha.beta",
        "1.0.0-beta.2",
        "1.0.0-beta.11",
        "1.0.0-rc.1",
        "1.0.0",
        "1.0.1",
        "v2",
        "9",
        "10",
        "10.1",
    ]
    assert all(order(one) < order(other) for one, other in pairwise(rising))


def test_trailing_zeros_and_build_metadata_do_not_change_the_order() -> None:
    assert order("1")[:3] == order("1.0.0")[:3]
    assert order("1.0.0+5") > order("1.0.0-rc1")
