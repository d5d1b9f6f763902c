"""The requests that wait for a run, in order, each no longer than until its deadline. Lives on one event loop."""

import asyncio
from collections import deque
from collections.abc import Iterable
from itertools import islice
from time import perf_counter
from typing import Final

from runtime.batching.run import Ticket

_LOOKED_AT: Final = 128  # tickets that one turn compares at most: shapes that never fit must not make it quadratic


class Waiting:
    """A queue whose members may leave at any time. A ticket that left stays in it as a shell for a while, uncounted."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._tickets: deque[Ticket] = deque()
        self._shells = 0
        self._expiry_due: asyncio.TimerHandle | None = None
        self._expiry_at = 0.0  # on the loop's clock; uvloop's handle cannot tell where it is due at once

    def __len__(self) -> int:
        return len(self._tickets) - self._shells

    def append(self, ticket: Ticket) -> None:
        """Queue a ticket."""
        ticket.line = self
        self._tickets.append(ticket)

    def put_back(self, tickets: Iterable[Ticket]) -> None:
        """Queue tickets before all others, each for a run of its own; they were taken in time, so none expires."""
        for ticket in reversed([each for each in tickets if each.done is not None]):
            ticket.single = True
            ticket.deadline = float("inf")
            ticket.line = self
            self._tickets.appendleft(ticket)

    def withdraw(self, ticket: Ticket) -> None:
        """Uncount a ticket whose caller gave up, and let go of what it holds."""
        ticket.line = None
        ticket.tensors = ()
        self._shells += 1
        if self._shells > len(self._tickets) // 2:
            self._tickets = deque(each for each in self._tickets if each.done is not None)
            self._shells = 0

    def take(self, most: int, now: float) -> tuple[list[Ticket], int]:
        """The first ticket in time and what fits beside it into `most` rows, in order, and their rows; 0: it alone."""
        queue = self._tickets
        if len(queue) == 1 and queue[0].done is not None and queue[0].deadline > now:  # the common case, in short
            ticket = queue.popleft()
            ticket.line = None
            return [ticket], ticket.rows
        tickets: list[Ticket] = []
        passed: list[Ticket] = []
        late: list[Ticket] = []
        rows = 0
        while queue and len(passed) < _LOOKED_AT:
            ticket = queue.popleft()
            if ticket.done is None:
                self._shells -= 1
            elif ticket.deadline <= now:
                ticket.line = None
                late.append(ticket)
            elif tickets and not (
                ticket.shapes == tickets[0].shapes and not ticket.single and rows + ticket.rows <= most
            ):
                passed.append(ticket)
            else:
                ticket.line = None
                tickets.append(ticket)
                rows += ticket.rows
                if ticket.single or rows >= most:
                    break
        if passed:
            queue.extendleft(reversed(passed))
        for ticket in late:  # last of all, as a callback may submit
            ticket.expire(now)
        return tickets, rows

    def alike(self, shapes: object, most: int) -> list[Ticket]:
        """Up to so many tickets near the head that could share a run with one of those shapes."""
        head = islice(self._tickets, _LOOKED_AT)
        return [each for each in head if each.done is not None and not each.single and each.shapes == shapes][:most]

    def rows(self, most: int) -> int:
        """The rows that wait; counting ends at `most`."""
        total = 0
        for ticket in self._tickets:
            if ticket.done is not None:
                total += ticket.rows
                if total >= most:
                    return most
        return total

    @property
    def oldest(self) -> float:
        """When the first ticket arrived."""
        return next(ticket.arrived for ticket in self._tickets if ticket.done is not None)

    @property
    def soonest(self) -> float:
        """The earliest deadline."""
        return min(ticket.deadline for ticket in self._tickets if ticket.done is not None)

    def watch(self, deadline: float) -> None:
        """While a run keeps the queue waiting, see to it that who has that deadline is answered then."""
        due = self._loop.time() + max(0.0, deadline - perf_counter())
        if self._expiry_due is None or due < self._expiry_at:
            self.unwatch()
            self._expiry_at = due
            self._expiry_due = self._loop.call_at(due, self._sweep)

    def unwatch(self) -> None:
        """Let turns find what has expired."""
        if self._expiry_due is not None:
            self._expiry_due.cancel()
            self._expiry_due = None

    def drain(self) -> list[Ticket]:
        """Take all tickets out."""
        tickets = [each for each in self._tickets if each.done is not None]
        for ticket in tickets:
            ticket.line = None
        self._tickets.clear()
        self._shells = 0
        return tickets

    def _sweep(self) -> None:
        """Answer everything whose deadline has passed, and look again at the next one."""
        self._expiry_due = None
        now = perf_counter()
        late = [each for each in self._tickets if each.done is not None and each.deadline <= now]
        for ticket in late:
            ticket.line = None
        self._tickets = deque(each for each in self._tickets if each.line is not None)
        self._shells = 0
        if self._tickets and self.soonest != float("inf"):
            self.watch(self.soonest)
        for ticket in late:
            ticket.expire(now)
