"""Which files this process still needs: a shared lock of the kernel on each, gone with the process however it ends.

A path that the cache returned stays valid as long as its process lives: the cleanup removes only what it can
lock alone. The lock is on the file, not on its name, so it holds for every hard link to it.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from runtime.artifacts.trust import OPEN_FLAGS, open_file

_held: dict[tuple[int, int], int] = {}  # device and inode -> the descriptor that keeps the lock


@contextlib.contextmanager
def shared(path: Path) -> Iterator[int]:
    """Open a file to read, held against removal. Raises FileNotFoundError where it is not there, or not trusted.

    It waits for nobody for long: the lock is held alone only for the moment of a look or of a removal.
    """
    file = open_file(path)
    try:
        fcntl.flock(file, fcntl.LOCK_SH)
        if not os.path.samestat(os.fstat(file), path.lstat()):
            raise FileNotFoundError(path)
        yield file
    finally:
        os.close(file)


def keep(file: int) -> None:
    """Hold a file that `shared` gave until this process ends."""
    state = os.fstat(file)
    mine = os.dup(file)
    if _held.setdefault((state.st_dev, state.st_ino), mine) != mine:
        os.close(mine)


def is_held(path: Path) -> bool:
    """Whether any process holds the file, this one included."""
    with _alone(path) as alone:
        return not alone


def discard(path: Path) -> None:
    """Remove a file unless a process holds it."""
    with contextlib.suppress(FileNotFoundError), _alone(path) as alone:
        if alone:
            path.unlink()


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[bool]:
    """Tell whether nobody else has the file; as long as that is looked at, nobody comes by it."""
    file = os.open(path, os.O_RDONLY | OPEN_FLAGS)
    try:
        yield _lock_alone(file) and os.path.samestat(os.fstat(file), path.lstat())
    finally:
        os.close(file)


def _lock_alone(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
