"""A content-addressed cache in one folder, shared by threads and processes, and stored only on disk.

    blobs/<sha256>.onnx         a verified file, named after its content
    trees/<sha256>/...          a model next to its external data, as hard links to blobs
    refs/<key>.json             the last known state of a URI: ETag, digest, metadata; `cache_key` returns the key
    partial/<key or tree>       an unfinished pull or link; only the process that has the lock uses it
    locks/<key or tree>         allows one pull per key and one writer per tree; the kernel releases it when its process
                                ends for any reason

The end of each pull removes entries that are no longer referenced: the blob of an object that was replaced under its
URI, and the trees that link to it, as soon as no running process has received their path. The latest blob of each URI
is never removed, so the cache contains one version of every model that was ever pulled. A digest in a setting does not
keep a blob after its URI has a new object: the next fetch pulls the new object and fails with a digest mismatch.

An entry is complete before a rename adds it, and its hash is checked before each use. Therefore nothing is synced to
disk, and a cold start never waits for the disk: a file that a power failure truncated fails the check and is pulled
again.

Files and folders that another user owns or can write are not used (see `trust`).
"""

import contextlib
import errno
import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from runtime.artifacts import holds
from runtime.artifacts.download import read_part
from runtime.artifacts.policy import Part
from runtime.artifacts.trust import FILE_MODE, FOLDER_MODE, check_folder, open_lock_file, open_trusted
from runtime.errors import BadSetting, DiskFull

DISK_FULL_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
PERMISSION_ERRORS = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR})
FOLDERS = ("blobs", "trees", "refs", "partial", "locks")
MAX_REF_BYTES = 1 << 20  # read from a ref file
MIN_POLL_SECONDS, MAX_POLL_SECONDS = 0.002, 0.05  # between two attempts to acquire a lock


class Ref(NamedTuple):
    """The state of a URI at its last pull."""

    uri: str
    etag: str | None
    version_id: str | None
    sha256: str
    size: int
    metadata: Mapping[str, str]


def cache_key(scope: str, uri: str) -> str:
    """Return the file name of the entries for a URI in a store; `scope` identifies the store."""
    return sha256(f"{scope}\n{uri}".encode()).hexdigest()


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file in lower-case hex."""
    with path.open("rb", buffering=0) as file:
        return _hash(file.fileno())


def _hash(file: int) -> str:
    digest = sha256()
    for piece in read_part(file, Part(0, os.fstat(file).st_size)):
        digest.update(piece)
    return digest.hexdigest()


class Cache(NamedTuple):
    """One cache folder."""

    root: Path

    def prepare(self) -> None:
        """Create the folders. Raises `BadSetting` if one cannot be created or trusted, OSError if the disk is full."""
        try:
            self.root.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            check_folder(self.root, is_cache_root=True)
            for name in FOLDERS:
                folder = self.root / name
                with contextlib.suppress(FileExistsError):
                    folder.mkdir(mode=FOLDER_MODE)
                check_folder(folder)
        except OSError as error:  # such as a file at this path, a name that is too long, or a path in /proc
            if error.errno in DISK_FULL_ERRORS:
                raise
            raise self._unusable(error) from error

    def blob(self, digest: str, suffix: str) -> Path:
        """Return the path of the blob with this digest, whether it exists or not."""
        return self.root / "blobs" / f"{digest}{suffix}"

    def verified_blob(self, digest: str, suffix: str) -> Path | None:
        """Return the blob if it exists and its hash is correct. It is not removed while this process runs.

        A damaged blob is removed unless a process uses it. The next pull replaces it.
        """
        path = self.blob(digest, suffix)
        try:
            with holds.open_shared(path) as file:
                if _hash(file) == digest:
                    holds.hold_until_exit(file)
                    return path
        except FileNotFoundError:
            return None
        holds.remove_unless_held(path)
        return None

    def read_ref(self, key: str) -> Ref | None:
        """Return the ref of a key, or None if it is missing, damaged or not trusted."""
        try:
            with open(open_trusted(self.root / "refs" / f"{key}.json"), "rb") as file:  # noqa: PTH123 - a descriptor
                return Ref(**json.loads(file.read(MAX_REF_BYTES)))
        except (OSError, ValueError, TypeError, RecursionError):
            return None

    def write_ref(self, key: str, ref: Ref) -> None:
        """Store the ref of a key. The caller must have the lock of the key."""
        text = json.dumps(ref._asdict() | {"metadata": dict(ref.metadata)})
        with self.partial(f"{key}.json") as path:
            path.touch(FILE_MODE, exist_ok=False)
            path.write_text(text)
            path.replace(self.root / "refs" / f"{key}.json")

    @contextlib.contextmanager
    def partial(self, name: str) -> Iterator[Path]:
        """Yield a path for a new file, and remove the file at the end if it still exists. The caller needs the lock."""
        path = self.root / "partial" / name
        path.unlink(missing_ok=True)
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def add_blob(self, path: Path, digest: str, suffix: str) -> Path:
        """Add a verified file to the cache with one rename. It is not removed while this process runs."""
        with holds.open_shared(path) as file:
            holds.hold_until_exit(file)
        return path.replace(self.blob(digest, suffix))

    def link_tree(self, files: Mapping[str, Path], *, timeout: float) -> Path:
        """Return a folder in which each relative name is a hard link to its blob: the same folder for the same files.

        A lock allows one writer at a time. A wrong or missing link is replaced in place, one name after the other, so
        that processes which use the folder find every file at any time. Raises TimeoutError after `timeout` seconds.
        """
        listing = "\n".join(f"{name}\0{blob.name}" for name, blob in sorted(files.items()))
        tree = self.root / "trees" / sha256(listing.encode()).hexdigest()
        with self.lock(tree.name, timeout=timeout):
            for name, blob in files.items():
                self._make_folders(tree, (tree / name).parent)
                if not _is_link(tree / name, blob):
                    with self.partial(tree.name) as link:
                        os.link(blob, link)
                        link.replace(tree / name)
        return tree

    def _make_folders(self, tree: Path, folder: Path) -> None:
        """Create the folder and its parents up to the tree. A file or folder that is not trusted is replaced."""
        for each in reversed([folder, *folder.parents][: len(folder.parts) - len(tree.parts) + 1]):
            try:
                each.mkdir(mode=FOLDER_MODE)
            except FileExistsError:
                try:
                    check_folder(each)
                except BadSetting:
                    _remove(each)
                    each.mkdir(mode=FOLDER_MODE)

    @contextlib.contextmanager
    def lock(self, name: str, *, timeout: float) -> Iterator[None]:
        """Lock a key or a tree against all other threads and processes.

        Raises TimeoutError after `timeout` seconds, and `BadSetting` if the lock file is not trusted.

        This calls the kernel's `flock` directly: the import of a lock library takes 11 ms of a cold start.
        """
        file = open_lock_file(self.root / "locks" / name)
        try:
            _acquire(file, until=time.monotonic() + timeout)
            yield
        finally:
            os.close(file)

    def check_free_space(self, size: int, uri: str) -> None:
        """Raise `DiskFull` if the file system reports less than `size` free bytes."""
        state = os.statvfs(self.root)
        free = state.f_bavail * state.f_frsize
        if size > free:
            raise DiskFull(
                uri,
                f"the cache has too little space: {size} bytes needed, {free} bytes free; use a larger volume",
                needed=size,
            )

    def sweep(self, *, keep: str) -> None:
        """Remove the partial files of processes that ended, and the entries that are no longer referenced.

        A partial file is abandoned if its lock is free. `keep` is the key that this process has locked.
        """
        for path in (self.root / "partial").iterdir():
            key = path.name.partition(".")[0]
            if key == keep:
                continue
            with contextlib.suppress(OSError, BadSetting), self.lock(key, timeout=0):
                _remove(path)
        self._evict()

    def _evict(self) -> None:
        # List the blobs before reading the refs: a blob that another process adds in between is then kept.
        blobs = [*(self.root / "blobs").iterdir()]
        refs = [self.read_ref(path.stem) for path in (self.root / "refs").iterdir()]
        referenced = {ref.sha256 for ref in refs if ref is not None}
        for blob in blobs:
            if blob.stem not in referenced:
                with contextlib.suppress(OSError):
                    holds.remove_unless_held(blob)
        for tree in (self.root / "trees").iterdir():
            # A process with the lock may be adding links. A process that received the folder holds its files.
            with contextlib.suppress(OSError, BadSetting), self.lock(tree.name, timeout=0):
                files = [path for path in tree.rglob("*") if path.is_file()]
                if _is_stale(files) and not any(holds.is_held(path) for path in files):
                    _remove(tree)

    @contextlib.contextmanager
    def translate_errors(self, uri: str) -> Iterator[None]:
        """Convert errors of the file system. Raises `DiskFull` and `BadSetting`."""
        try:
            yield
        except OSError as error:
            if error.errno in DISK_FULL_ERRORS:
                raise DiskFull(uri, f"the cache has too little space: {error.strerror}") from error
            if error.errno in PERMISSION_ERRORS:
                raise self._unusable(error) from error
            raise

    def _unusable(self, error: OSError) -> BadSetting:
        allowed = f"a folder that this process can create and write to ({error.strerror})"
        return BadSetting("SCALEZERO_CACHE_DIR", value=str(self.root), allowed=allowed)


def _acquire(file: int, *, until: float, sleep: Callable[[float], None] = time.sleep) -> None:
    pause = MIN_POLL_SECONDS
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise TimeoutError from None
        sleep(pause)
        pause = min(2 * pause, MAX_POLL_SECONDS)


def _is_link(path: Path, blob: Path) -> bool:
    """Whether the path is a hard link to its blob, which was verified before."""
    try:
        return os.path.samestat(path.lstat(), blob.lstat())
    except OSError:
        return False


def _is_stale(files: Sequence[Path]) -> bool:
    """Whether the files of a tree are no longer a complete model: a blob of one of them was removed."""
    return not files or any(path.stat().st_nlink == 1 for path in files)


def _remove(path: Path) -> None:
    """Remove a file or a folder. A file in a folder that cannot be removed is skipped."""
    if path.is_dir() and not path.is_symlink():
        import shutil  # imported here because trees are rare and every cold start would pay for the import

        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
