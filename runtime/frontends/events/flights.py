"""Events that are being answered, and the deliveries that wait for their replies.

A sender that gets no answer in time delivers an event again while the first delivery is still being answered. All
deliveries then get the same answer. The work is abandoned only when the last of them has left, so a client that
disconnects does not take the answer away from the others.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from runtime.frontends.events.window import Key, Reply


class Flight:
    """One event that is being answered."""

    __slots__ = ("abandon", "first", "key", "task", "waiting")

    def __init__(self, key: Key, first: object | None = None) -> None:
        self.key = key
        # The delivery for which a callback does the work; None: a task does it, the client left, or it is answered.
        self.first = first
        self.waiting: dict[Any, Callable[[Any, Reply], None]] = {}  # how each other delivery is answered
        self.abandon: Callable[[], object] | None = None  # ends the work if no task does it
        self.task: asyncio.Task[None] | None = None  # the task that does the work


class Flights:
    """All events that are being answered, by source and id."""

    def __init__(self) -> None:
        self._flights: dict[Key, Flight] = {}

    def find(self, key: Key) -> Flight | None:
        """Return the flight of an event, or None."""
        return self._flights.get(key)

    def begin(self, key: Key, first: object | None = None) -> Flight:
        """Note that an event is being answered."""
        flight = self._flights[key] = Flight(key, first)
        return flight

    def forget(self, flight: Flight) -> None:
        """Note that an event is not being answered any more."""
        if self._flights.get(flight.key) is flight:
            del self._flights[flight.key]

    def land(self, flight: Flight, reply: Reply) -> None:
        """Answer all deliveries of an event, except the first."""
        self.forget(flight)
        flight.first = None  # it refers to the flight, and a reference cycle is work for the garbage collector
        if flight.waiting:
            waiting, flight.waiting = flight.waiting, {}
            for delivery, answer in waiting.items():
                answer(delivery, reply)

    def leave(self, flight: Flight, delivery: object) -> bool:
        """Remove a delivery whose client has left, and return whether others wait. If none does, end the work."""
        if delivery is flight.first:
            flight.first = None
        else:
            flight.waiting.pop(delivery, None)
        if flight.waiting or flight.first is not None:
            return True
        self.forget(flight)
        if flight.task is not None:
            flight.task.cancel()
        elif flight.abandon is not None:
            flight.abandon()
        return False

    async def wait(self, flight: Flight) -> Reply:
        """Wait for the reply. If this call is cancelled, its delivery leaves."""
        landed: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        flight.waiting[landed] = _set_result
        try:
            return await landed
        except asyncio.CancelledError:
            self.leave(flight, landed)
            raise


def _set_result(landed: "asyncio.Future[Reply]", reply: Reply) -> None:
    if not landed.done():  # it is cancelled before its delivery leaves
        landed.set_result(reply)
