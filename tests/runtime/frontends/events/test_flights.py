"""All deliveries of an event get the answer of its flight, and the last one that leaves ends the work."""

import asyncio

import pytest

from runtime.frontends.events.flights import Flight, Flights
from runtime.frontends.events.window import Reply

KEY = ("/s", "1")
REPLY = Reply(200, [], b"x")


def test_a_delivery_that_is_cancelled_in_the_same_turn_does_not_take_the_reply_from_the_others() -> None:
    async def run() -> Reply:
        flights = Flights()
        flight = flights.begin(KEY)
        cancelled, other = (asyncio.ensure_future(flights.wait(flight)) for _ in range(2))
        await asyncio.sleep(0)
        cancelled.cancel()
        flights.land(flight, REPLY)
        with pytest.raises(asyncio.CancelledError):
            await cancelled
        return await other

    assert asyncio.run(run()) is REPLY


def ended(flight: Flight) -> list[str]:
    calls: list[str] = []
    flight.abandon = lambda: calls.append("abandoned")
    return calls


@pytest.mark.parametrize("first_leaves_first", [True, False])
def test_the_work_ends_when_the_last_delivery_leaves(first_leaves_first: bool) -> None:  # noqa: FBT001 - a parameter
    first, other = object(), object()
    flights = Flights()
    flight = flights.begin(KEY, first)
    flight.waiting[other] = lambda _, __: None
    calls = ended(flight)
    early, late = (first, other) if first_leaves_first else (other, first)
    assert flights.leave(flight, early)
    assert calls == []
    assert flights.find(KEY) is flight
    assert not flights.leave(flight, late)
    assert calls == ["abandoned"]
    assert flights.find(KEY) is None


def test_a_flight_that_ended_does_not_forget_a_later_one() -> None:
    flights = Flights()
    one = flights.begin(KEY)
    flights.land(one, REPLY)
    other = flights.begin(KEY)
    flights.forget(one)
    assert flights.find(KEY) is other
