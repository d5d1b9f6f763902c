"""Locks on the files that this process uses: a shared kernel lock on each, released when the process ends.

A path that the cache returned stays valid while its process runs, because the cleanup only removes files that it can
lock exclusively. The lock is on the file and not on its name, so it protects every hard link to the file.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from runtime.artifacts.trust import OPEN_FLAGS, open_trusted

_held: dict[tuple[int, int], int] = {}  # device and inode -> the file descriptor with the lock


@contextlib.contextmanager
def open_shared(path: Path) -> Iterator[int]:
    """Open a file for reading with a shared lock against removal. Raises FileNotFoundError if missing or not trusted.

    The wait for the lock is short: an exclusive lock lasts only for a check or a removal.
    """
    file = open_trusted(path)
    try:
        fcntl.flock(file, fcntl.LOCK_SH)
        if not os.path.samestat(os.fstat(file), path.lstat()):
            raise FileNotFoundError(path)
        yield file
    finally:
        os.close(file)


def hold_until_exit(file: int) -> None:
    """Keep the lock of a file that `open_shared` opened until this process ends."""
    state = os.fstat(file)
    descriptor = os.dup(file)
    if _held.setdefault((state.st_dev, state.st_ino), descriptor) != descriptor:
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Whether any process, including this one, has a lock on the file."""
    with _try_exclusive(path) as exclusive:
        return not exclusive


def remove_unless_held(path: Path) -> None:
    """Remove a file unless a process has a lock on it."""
    with contextlib.suppress(FileNotFoundError), _try_exclusive(path) as exclusive:
        if exclusive:
            path.unlink()


@contextlib.contextmanager
def _try_exclusive(path: Path) -> Iterator[bool]:
    """Yield whether the file could be locked exclusively. The lock lasts until the context ends."""
    file = os.open(path, os.O_RDONLY | OPEN_FLAGS)
    try:
        yield _try_lock(file) and os.path.samestat(os.fstat(file), path.lstat())
    finally:
        os.close(file)


def _try_lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
