"""The queue of requests that wait for a run, each until its deadline at most. Used on one event loop."""

import asyncio
from collections import deque
from collections.abc import Iterable
from itertools import islice
from time import perf_counter
from typing import Final

from runtime.batching.run import Ticket

_MAX_SCANNED: Final = 128  # tickets that one turn compares; without it, shapes that never fit make turns quadratic


class RequestQueue:
    """A queue of tickets that can be cancelled at any time. Cancelled tickets are removed later and not counted."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._tickets: deque[Ticket] = deque()
        self._cancelled = 0
        self._expiry_due: asyncio.TimerHandle | None = None
        self._expiry_at = 0.0  # on the loop's clock; the handle of uvloop has no time if it is due at once

    def __len__(self) -> int:
        return len(self._tickets) - self._cancelled

    def append(self, ticket: Ticket) -> None:
        """Add a ticket at the end."""
        ticket.queue = self
        self._tickets.append(ticket)

    def put_back(self, tickets: Iterable[Ticket]) -> None:
        """Add tickets at the front, each to run alone; they were taken before their deadline, so none expires."""
        for ticket in reversed([each for each in tickets if each.done is not None]):
            ticket.single = True
            ticket.deadline = float("inf")
            ticket.queue = self
            self._tickets.appendleft(ticket)

    def withdraw(self, ticket: Ticket) -> None:
        """Stop counting a cancelled ticket, and release its tensors."""
        ticket.queue = None
        ticket.tensors = ()
        self._cancelled += 1
        if self._cancelled > len(self._tickets) // 2:
            self._tickets = deque(each for each in self._tickets if each.done is not None)
            self._cancelled = 0

    def take(self, max_rows: int, now: float) -> tuple[list[Ticket], int]:
        """Remove and return the tickets of the next run, in order, and the number of their rows.

        These are the first ticket whose deadline has not passed, and those that can share its run of at most `max_rows`
        rows; `max_rows` 0: only the first one.
        """
        queue = self._tickets
        if len(queue) == 1 and queue[0].done is not None and queue[0].deadline > now:  # a fast path for the common case
            ticket = queue.popleft()
            ticket.queue = None
            return [ticket], ticket.rows
        tickets: list[Ticket] = []
        skipped: list[Ticket] = []
        expired: list[Ticket] = []
        rows = 0
        while queue and len(skipped) < _MAX_SCANNED:
            ticket = queue.popleft()
            if ticket.done is None:
                self._cancelled -= 1
            elif ticket.deadline <= now:
                ticket.queue = None
                expired.append(ticket)
            elif tickets and not (
                ticket.shapes == tickets[0].shapes and not ticket.single and rows + ticket.rows <= max_rows
            ):
                skipped.append(ticket)
            else:
                ticket.queue = None
                tickets.append(ticket)
                rows += ticket.rows
                if ticket.single or rows >= max_rows:
                    break
        if skipped:
            queue.extendleft(reversed(skipped))
        for ticket in expired:  # at the end, because a callback may submit another request
            ticket.expire(now)
        return tickets, rows

    def similar(self, shapes: object, limit: int) -> list[Ticket]:
        """Return up to `limit` tickets near the head that can share a run with a ticket of these shapes."""
        head = islice(self._tickets, _MAX_SCANNED)
        return [each for each in head if each.done is not None and not each.single and each.shapes == shapes][:limit]

    def rows(self, limit: int) -> int:
        """Return the number of waiting rows, or `limit` if there are more."""
        total = 0
        for ticket in self._tickets:
            if ticket.done is not None:
                total += ticket.rows
                if total >= limit:
                    return limit
        return total

    @property
    def oldest_arrival(self) -> float:
        """The arrival of the first ticket."""
        return next(ticket.arrived for ticket in self._tickets if ticket.done is not None)

    @property
    def earliest_deadline(self) -> float:
        """The earliest deadline."""
        return min(ticket.deadline for ticket in self._tickets if ticket.done is not None)

    def watch_deadline(self, deadline: float) -> None:
        """Set a timer that answers the tickets of this deadline when it passes; needed while a run is in progress."""
        due = self._loop.time() + max(0.0, deadline - perf_counter())
        if self._expiry_due is None or due < self._expiry_at:
            self.stop_watching()
            self._expiry_at = due
            self._expiry_due = self._loop.call_at(due, self._sweep)

    def stop_watching(self) -> None:
        """Cancel the timer: without a run in progress, turns find the expired tickets."""
        if self._expiry_due is not None:
            self._expiry_due.cancel()
            self._expiry_due = None

    def drain(self) -> list[Ticket]:
        """Remove and return all tickets."""
        tickets = [each for each in self._tickets if each.done is not None]
        for ticket in tickets:
            ticket.queue = None
        self._tickets.clear()
        self._cancelled = 0
        return tickets

    def _sweep(self) -> None:
        """Answer all tickets whose deadline has passed, and set the timer for the next deadline."""
        self._expiry_due = None
        now = perf_counter()
        expired = [each for each in self._tickets if each.done is not None and each.deadline <= now]
        for ticket in expired:
            ticket.queue = None
        self._tickets = deque(each for each in self._tickets if each.queue is not None)
        self._cancelled = 0
        if self._tickets and self.earliest_deadline != float("inf"):
            self.watch_deadline(self.earliest_deadline)
        for ticket in expired:
            ticket.expire(now)
