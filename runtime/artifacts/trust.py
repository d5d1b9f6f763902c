"""Which files and folders of the cache may be believed: those that nobody but this user (or root) can change.

Whoever can write the cache can put another model in the place of a verified one. So each folder must be ours and no
link, and each file too. What is not ours is refused (a folder) or taken as absent (a file, which is then pulled anew).

The cache folder itself may belong to root, and others may write to it where it is the root of a mounted volume: an
emptyDir is root's with mode 0777, or 2777 with an fsGroup, and only the containers of its pod see it. Everything inside
is made by us with modes of our own.
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
ABSENT = frozenset({errno.ENOENT, errno.ELOOP, errno.EACCES, errno.ENXIO})  # a link, another's file, a socket
# No link is followed, and a FIFO in the place of a file does not block.
OPEN_FLAGS = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


class Owned(NamedTuple):
    """The facts of a file or folder that decide whether it is trusted."""

    mode: int  # type and permissions, as in `st_mode`
    uid: int


def facts(state: os.stat_result) -> Owned:
    """Take the facts from what the file system says."""
    return Owned(state.st_mode, state.st_uid)


def is_trusted_file(file: Owned, *, uid: int) -> bool:
    """Whether it is a regular file of ours that nobody else may write."""
    return stat.S_ISREG(file.mode) and file.uid == uid and not file.mode & SHARED


def folder_fault(folder: Owned, *, uid: int, outermost: bool, mounted: bool) -> str | None:
    """Say why a folder is not trusted and how to mend that; None: it is.

    `outermost` is the cache folder itself, `mounted` says that it is the root of a volume.
    """
    if not stat.S_ISDIR(folder.mode):
        return "a folder; it is a link or a file, name the folder itself"
    if folder.uid != uid and not (outermost and folder.uid == 0):
        return f"a folder of uid {uid}; it belongs to uid {folder.uid}, remove it or name another one"
    if folder.mode & SHARED and not (outermost and mounted):
        mode = f"{folder.mode & 0o7777:04o}"
        return f"a folder that only its owner may write; its mode is {mode}, run chmod -R go-w on it"
    return None


def check_folder(path: Path, *, outermost: bool = False) -> None:
    """Raise `BadSetting` where the folder is not trusted."""
    folder = facts(path.lstat())
    mounted = outermost and bool(folder.mode & SHARED) and is_mounted(path)
    fault = folder_fault(folder, uid=os.geteuid(), outermost=outermost, mounted=mounted)
    if fault is not None:
        raise BadSetting("SCALEZERO_CACHE_DIR", value=str(path), allowed=fault)


def is_mounted(path: Path) -> bool:
    """Whether the path is the root of a mount, a bind mount of the same file system included, as a volume may be.

    The fifth field of a line is the mount point, with blanks and backslashes in octal (proc_pid_mountinfo(5)).
    """
    try:
        lines = MOUNTS.read_bytes().splitlines()
    except OSError:
        return path.is_mount()
    points = {OCTAL.sub(lambda found: bytes([int(found[1], 8)]), line.split(b" ")[4]) for line in lines}
    return os.fsencode(path.resolve()) in points


def open_file(path: Path) -> int:
    """Open a file to read. Raises FileNotFoundError where it is absent or not trusted, so that it is pulled anew."""
    try:
        file = os.open(path, os.O_RDONLY | OPEN_FLAGS)
    except OSError as error:
        if error.errno not in ABSENT:
            raise
        raise FileNotFoundError(path) from error
    if not is_trusted_file(facts(os.fstat(file)), uid=os.geteuid()):
        os.close(file)
        raise FileNotFoundError(path)
    return file


def open_lock(path: Path) -> int:
    """Open a lock, made where it is absent. Raises `BadSetting` where it is not trusted.

    It is never replaced: a process that holds the old one would not keep out one that holds the new one.
    """
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | OPEN_FLAGS, FILE_MODE)
    except OSError as error:
        if error.errno not in ABSENT - {errno.ENOENT}:
            raise
        raise _refused(path) from error
    if not is_trusted_file(facts(os.fstat(file)), uid=os.geteuid()):
        os.close(file)
        raise _refused(path)
    return file


def _refused(path: Path) -> BadSetting:
    allowed = f"a file of uid {os.geteuid()} that nobody else may write; remove it"
    return BadSetting("SCALEZERO_CACHE_DIR", value=str(path), allowed=allowed)
