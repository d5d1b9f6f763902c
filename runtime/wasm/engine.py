"""The engine of the process: its configuration, its clock, and the key of the code that it compiles.

wasmtime stops a guest when the engine's epoch passes the deadline of its store. The clock is a thread that increments
the epoch while guests run; an idle process has no wake-ups.
"""

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Condition, Thread
from time import sleep
from typing import Final, NamedTuple

import wasmtime

from runtime.variants.cpu_class import cpu_class

_log: Final = logging.getLogger("scalezero.function")
_TICK: Final = 0.02  # seconds; a call ends at most two ticks after its limit
_CONFIGURATION: Final = 1  # to be raised with each change of `_configured`: code of another configuration does not load


class CodeKey(NamedTuple):
    """What compiled code is valid for."""

    compiler: str  # wasmtime's version and the configuration, such as wasmtime-50.0.1-1
    cpu: str  # the CPU class


class Engine:
    """The engine of the process with its clock."""

    def __init__(self) -> None:
        self.wasmtime = wasmtime.Engine(_configured())
        self._running: list[Callable[[], None]] = []
        self._changed = Condition()
        self._clock: Thread | None = None

    def ticks(self, seconds: float) -> int:
        """Return the deadline of a store for a time limit, in epochs."""
        return math.ceil(seconds / _TICK) + 1

    @contextmanager
    def running(self, watch: Callable[[], None]) -> Iterator[None]:
        """Let the clock run, and call `watch` at each tick, on the clock's thread."""
        with self._changed:
            self._running.append(watch)
            if self._clock is None:
                self._clock = Thread(target=self._tick, name="guest-clock", daemon=True)
                self._clock.start()
            self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._running.remove(watch)

    def _tick(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._running)
            sleep(_TICK)
            self.wasmtime.increment_epoch()
            with self._changed:
                for watch in self._running:
                    try:
                        watch()
                    except Exception:  # noqa: BLE001 - the clock must go on, because it stops the guests
                        _log.exception("a guest could not be watched")


@cache
def engine() -> Engine:
    """Return the engine of the process."""
    return Engine()


def code_key() -> CodeKey:
    """Return the key of the code that this process compiles and loads."""
    return CodeKey(f"wasmtime-{_version()}-{_CONFIGURATION}", cpu_class())


def _version() -> str:
    """Return wasmtime's version: the package states it only in its metadata.

    It is in the name of the metadata's folder, and importing importlib.metadata would make each cold start slower.
    """
    folder = Path(wasmtime.__file__).parent.parent
    names = [each.name for each in folder.glob("wasmtime-*.dist-info")]
    if len(names) == 1:
        return names[0].removeprefix("wasmtime-").removesuffix(".dist-info")
    from importlib.metadata import version  # another form of installation, or the rest of an earlier one

    return version("wasmtime")


def _configured() -> wasmtime.Config:
    config = wasmtime.Config()
    config.epoch_interruption = True
    # A store does not limit shared memories and garbage-collected heaps, so guests have neither.
    config.wasm_threads = False
    config.wasm_gc = False
    return config
