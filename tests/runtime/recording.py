"""A sink that records what it is offered."""

import asyncio

from runtime.sinks import Outcome


class RecordingSink:
    """Keeps all outcomes."""

    name = "recording"

    def __init__(self) -> None:
        self.taken: list[Outcome] = []
        self.drained: list[float] = []  # the limits of all calls of `drain`

    def offer(self, outcome: Outcome) -> None:
        """Record an outcome."""
        self.taken.append(outcome)

    async def run(self) -> None:
        """Do nothing until the task is cancelled."""
        await asyncio.Event().wait()

    async def drain(self, within: float) -> None:
        """Record the limit."""
        self.drained.append(within)
