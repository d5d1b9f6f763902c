"""Samples: the same decision for the same request everywhere, and about the share of all requests."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.prediction_log.sampling import is_chosen, key_of

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@given(st.text(), st.floats(0, 1), st.floats(0, 1))
def test_a_request_of_a_sample_is_in_each_larger_sample(key: str, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert is_chosen(high, key) or not is_chosen(low, key)
    assert is_chosen(1.0, key)
    assert not is_chosen(0.0, key)


def test_the_sample_has_about_the_share() -> None:
    assert 2700 < sum(is_chosen(0.3, f"request-{number}") for number in range(10_000)) < 3300


def test_requests_without_an_id_are_chosen_at_random() -> None:
    random.seed(1)
    assert 2700 < sum(is_chosen(0.3, None) for _ in range(10_000)) < 3300
    assert is_chosen(1.0, None)
    assert not is_chosen(0.0, None)


@pytest.mark.parametrize(
    ("request_id", "trace", "id", "expected"),
    [
        ("r", TRACE, "i", "4bf92f3577b34da6a3ce929d0e0e4736"),
        ("r", "invalid", "i", "r"),
        (None, None, "i", "i"),
        (None, None, "", None),
    ],
)
def test_the_trace_comes_before_the_request_and_the_protocols_id(
    request_id: str | None,
    trace: str | None,
    id: str,  # noqa: A002 - as in `Query`
    expected: str | None,
) -> None:
    assert key_of(request_id, trace, id) == expected
