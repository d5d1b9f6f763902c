"""What commands that make files and start processes do at SIGTERM."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from typing import Final, NoReturn

_ENDED_BY: Final = 128  # plus the number of the signal: the exit code of a shell


@contextmanager
def ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the process as an exception does, so that temporary folders and other processes are removed.

    Without a handler it ends the process at once, for example when a CI run is cancelled.
    """
    if current_thread() is not main_thread():  # only the main thread may set a handler
        yield
        return
    before = signal.signal(signal.SIGTERM, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _leave(number: int, _: object) -> NoReturn:
    sys.exit(_ENDED_BY + number)
