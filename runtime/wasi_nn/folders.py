"""The folders of the models that guests pass as bytes, in the cache folder, which processes may share.

A process has a lock on each of its folders. The kernel releases it when the process ends for any reason, so a folder
without a lock is a leftover.
"""

import fcntl
import os
import shutil
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Final

_PREFIX: Final = "wasi-nn-"
_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Folder:
    """A folder for one file. It is created with the file, and locked until it is removed."""

    def __init__(self, cache_dir: Path) -> None:
        """Choose the path; `write` creates the folder."""
        self.path = cache_dir / f"{_PREFIX}{uuid.uuid4().hex}"
        self._lock: int | None = None

    def write(self, path: Path, content: bytes) -> None:
        """Create the folder, and write a file in it. Raises `OSError`."""
        while self._lock is None:
            self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
            with suppress(FileNotFoundError):  # another process removed it before it had a lock
                self._lock = _locked(self.path, wait=True)
        path.write_bytes(content)

    def remove(self) -> None:
        """Remove the folder, if it was created."""
        if self._lock is not None:
            shutil.rmtree(self.path, ignore_errors=True)
            os.close(self._lock)
            self._lock = None


def remove_leftovers(cache_dir: Path) -> None:
    """Remove the folders of processes that ended without removing them. An error of the file system is ignored."""
    with suppress(OSError):
        for path in cache_dir.glob(f"{_PREFIX}*"):
            _remove_unless_locked(path)


def _remove_unless_locked(path: Path) -> None:
    with suppress(OSError):  # it is locked, or another process removes it too
        lock = _locked(path, wait=False)
        shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def _locked(path: Path, *, wait: bool) -> int:
    """Return a descriptor with the lock of the folder. Raises `OSError` if it is locked or does not exist any more."""
    folder = os.open(path, _FLAGS)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        exists = os.path.samestat(os.fstat(folder), path.lstat())
    except BaseException:
        os.close(folder)
        raise
    if not exists:
        os.close(folder)
        raise FileNotFoundError(path)
    return folder
