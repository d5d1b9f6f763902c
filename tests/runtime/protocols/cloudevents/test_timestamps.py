from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.protocols.cloudevents.timestamps import Timestamps


@pytest.mark.parametrize(("digits", "text"), [(3, b"2026-04-05T17:31:00.042Z"), (6, b"2026-04-05T17:31:00.042500Z")])
def test_a_time_has_the_digits_that_were_asked_for(digits: int, text: bytes) -> None:
    now = datetime(2026, 4, 5, 17, 31, 0, 42_500, tzinfo=UTC).timestamp()

    assert Timestamps(digits).at(now) == text


@given(st.lists(st.floats(0, 4e9), min_size=2))
def test_times_in_any_order_are_read_back(times: list[float]) -> None:
    timestamps = Timestamps(3)

    for now in times:
        read = datetime.fromisoformat(timestamps.at(now).decode()).timestamp()
        assert -1e-6 <= now - read < 0.001001  # cut off, not rounded; 1 µs is the precision of `datetime`
