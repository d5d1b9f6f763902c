"""Durations in the format of Go, as in Kubernetes."""

import pytest

from knative.resources.durations import is_duration, seconds


@pytest.mark.parametrize(
    ("text", "expected"),
    [("100ms", 0.1), ("1s", 1), ("1m30s", 90), ("1.5h", 5400), ("0", 0), ("250us", 0.00025), ("250µs", 0.00025)],
)
def test_a_duration_is_converted_to_seconds(text: str, expected: float) -> None:
    assert seconds(text) == pytest.approx(expected)


def test_a_duration_that_overflows_is_infinite() -> None:
    assert seconds("99999999999999999h") == float("inf")


@pytest.mark.parametrize(("text", "fits"), [("100ms", True), ("1m30s", True), ("0", True), ("1", False), ("1d", False)])
def test_is_duration_accepts_what_a_manifest_accepts(text: str, fits: bool) -> None:  # noqa: FBT001 - a case
    assert is_duration(text) is fits
