"""A service in a thread of its own, for tests whose guests run in other threads."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from runtime.service import Service
from runtime.settings import Settings
from runtime.wasi_nn.backend import ServiceBackend

T = TypeVar("T")


class Serving:
    """A service, its event loop and its backend."""

    def __init__(self, service: Service, loop: asyncio.AbstractEventLoop) -> None:
        self.service = service
        self.loop = loop
        self.backend = ServiceBackend(service, loop, max_loaded=2)

    def run(self, work: Coroutine[None, None, T]) -> T:
        """Run the coroutine on the event loop, and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def call(self, function: Callable[[], T]) -> T:
        """Call the function on the event loop, and return its result."""

        async def called() -> T:
            return function()

        return self.run(called())


@contextmanager
def serving(settings: Settings, **others: Path) -> Iterator[Serving]:
    """Serve the model of the settings, and others by their names."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="the loop")
    thread.start()
    service = Service(settings, process_started=0.0)
    this = Serving(service, loop)
    try:
        this.run(service.open())
        for name, path in others.items():
            this.call(partial(service.add, replace(settings, model_name=name, model_uri=str(path))))
        yield this
    finally:
        this.run(this.backend.close())
        this.run(service.close(within=10.0))
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)
        loop.close()
