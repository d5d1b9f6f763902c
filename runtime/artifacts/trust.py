"""The trusted files and folders of the cache: those that only this user (or root) can change.

A user who can write to the cache can replace a verified model. Therefore every folder and file must belong to the user
of this process and must not be a link. Any other folder is an error. Any other file is treated as missing, and is
pulled again.

The cache folder itself may belong to root, and may be writable by others if it is the root of a mounted volume: an
emptyDir belongs to root with mode 0777, or 2777 with an fsGroup, and only the containers of its pod can access it. This
process creates everything in it, with its own modes.
"""

import errno
import os
import re
import stat
from pathlib import Path
from typing import NamedTuple

from runtime.errors import BadSetting

SHARED = stat.S_IWGRP | stat.S_IWOTH
MOUNTS = Path("/proc/self/mountinfo")
OCTAL = re.compile(rb"\\([0-7]{3})")
FOLDER_MODE, FILE_MODE = 0o700, 0o600
# Errors for a missing file, a link, a file of another user, and a socket.
MISSING_ERRORS = frozenset({errno.ENOENT, errno.ELOOP, errno.EACCES, errno.ENXIO})
# Do not follow links, and do not block on a FIFO.
OPEN_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class Ownership(NamedTuple):
    """The attributes that decide whether a file or folder is trusted."""

    mode: int  # type and permissions, as in `st_mode`
    uid: int


def ownership_of(state: os.stat_result) -> Ownership:
    """Return the ownership in the result of a `stat` call."""
    return Ownership(state.st_mode, state.st_uid)


def is_trusted_file(file: Ownership, *, uid: int) -> bool:
    """Whether it is a regular file of the user `uid` that no other user can write."""
    return stat.S_ISREG(file.mode) and file.uid == uid and not file.mode & SHARED


def folder_problem(folder: Ownership, *, uid: int, is_cache_root: bool, is_mount: bool) -> str | None:
    """Return what is expected of an untrusted folder, and the next step; None for a trusted folder.

    `is_cache_root`: it is the cache folder itself. `is_mount`: it is the root of a mounted volume.
    """
    if not stat.S_ISDIR(folder.mode):
        return "a folder; it is a link or a file: set the path of the folder itself"
    if folder.uid != uid and not (is_cache_root and folder.uid == 0):
        return f"a folder of uid {uid}; it belongs to uid {folder.uid}: remove it or use another folder"
    if folder.mode & SHARED and not (is_cache_root and is_mount):
        mode = f"{folder.mode & 0o7777:04o}"
        return f"a folder that only its owner can write; its mode is {mode}: run chmod -R go-w on it"
    return None


def check_folder(path: Path, *, is_cache_root: bool = False) -> None:
    """Raise `BadSetting` if the folder is not trusted."""
    folder = ownership_of(path.lstat())
    is_mount = is_cache_root and bool(folder.mode & SHARED) and is_mount_point(path)
    problem = folder_problem(folder, uid=os.geteuid(), is_cache_root=is_cache_root, is_mount=is_mount)
    if problem is not None:
        raise BadSetting("SCALEZERO_CACHE_DIR", value=str(path), allowed=problem)


def is_mount_point(path: Path) -> bool:
    """Whether the path is a mount point. This includes a bind mount of the same file system, as a volume may be.

    The fifth field of a line is the mount point, with blanks and backslashes in octal (proc_pid_mountinfo(5)).
    """
    try:
        lines = MOUNTS.read_bytes().splitlines()
    except OSError:
        return path.is_mount()
    points = {OCTAL.sub(lambda match: bytes([int(match[1], 8)]), line.split(b" ")[4]) for line in lines}
    return os.fsencode(path.resolve()) in points


def open_trusted(path: Path) -> int:
    """Open a file for reading. Raises FileNotFoundError if it is missing or not trusted, so that it is pulled again."""
    try:
        file = os.open(path, os.O_RDONLY | OPEN_FLAGS)
    except OSError as error:
        if error.errno not in MISSING_ERRORS:
            raise
        raise FileNotFoundError(path) from error
    if not is_trusted_file(ownership_of(os.fstat(file)), uid=os.geteuid()):
        os.close(file)
        raise FileNotFoundError(path)
    return file


def open_lock_file(path: Path) -> int:
    """Open a lock file, and create it if it is missing. Raises `BadSetting` if it is not trusted.

    A lock file is never replaced: a lock on the old file would not block a process that locks the new file.
    """
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | OPEN_FLAGS, FILE_MODE)
    except OSError as error:
        if error.errno not in MISSING_ERRORS - {errno.ENOENT}:
            raise
        raise _untrusted_lock(path) from error
    if not is_trusted_file(ownership_of(os.fstat(file)), uid=os.geteuid()):
        os.close(file)
        raise _untrusted_lock(path)
    return file


def _untrusted_lock(path: Path) -> BadSetting:
    allowed = f"a file of uid {os.geteuid()} that no other user can write: remove it"
    return BadSetting("SCALEZERO_CACHE_DIR", value=str(path), allowed=allowed)
