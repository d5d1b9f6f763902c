"""The content-addressed cache of one folder, shared by threads and processes, on disk only.

    blobs/<sha256>.onnx         one verified file; the name says what is in it
    trees/<sha256>/...          a model beside its external data: hard links to blobs
    refs/<place>.json           what a URI was last seen to be: ETag, digest, metadata
    partial/<place or tree>     a pull that is going on, or a link on its way; belongs to who holds the lock
    locks/<place or tree>       one pull per place at a time, one planter per tree; the kernel frees it however its
                                holder dies

What nothing leads to any more goes when the next pull ends: the blob of an object that was replaced under its URI, and
the trees made of it, once no process is left that was given their path. What the URIs last led to stays, however long
ago that was: the folder is as large as the models ever asked for, one version each. A digest pinned by a setting does
not keep a blob whose URI has gone on to another; it is then pulled again, and told to be another.

An entry appears by a rename, whole, and is hashed again before each use. That is why nothing is synced to disk: what
a power cut tore fails its hash and is pulled again, and the cold start never waits for a disk.

Files and folders that another user owns or may write are not used: `trust` says which.
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
from runtime.artifacts.download import read_back
from runtime.artifacts.policy import Part
from runtime.artifacts.trust import FILE_MODE, FOLDER_MODE, check_folder, open_file, open_lock
from runtime.errors import BadSetting, DiskFull

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
FORBIDDEN = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR})
FOLDERS = ("blobs", "trees", "refs", "partial", "locks")
MOST_NOTE = 1 << 20  # bytes of a note that are read
FIRST_LOOK, LAST_LOOK = 0.002, 0.05  # seconds between two looks at a lock that another holds


class Ref(NamedTuple):
    """What a URI was when it was last pulled."""

    uri: str
    etag: str | None
    version_id: str | None
    sha256: str
    size: int
    metadata: Mapping[str, str]


def place_name(scope: str, uri: str) -> str:
    """Return the file name that stands for a URI at a store."""
    return sha256(f"{scope}\n{uri}".encode()).hexdigest()


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file in lower-case hex."""
    with path.open("rb", buffering=0) as file:
        return _hash(file.fileno())


def _hash(file: int) -> str:
    digest = sha256()
    for piece in read_back(file, Part(0, os.fstat(file).st_size)):
        digest.update(piece)
    return digest.hexdigest()


class Cache(NamedTuple):
    """One cache folder."""

    root: Path

    def prepare(self) -> None:
        """Make the folders. Raises `BadSetting` where they cannot be made or trusted, and OSError on a full disk."""
        try:
            self.root.mkdir(mode=FOLDER_MODE, parents=True, exist_ok=True)
            check_folder(self.root, outermost=True)
            for name in FOLDERS:
                folder = self.root / name
                with contextlib.suppress(FileExistsError):
                    folder.mkdir(mode=FOLDER_MODE)
                check_folder(folder)
        except OSError as error:  # a file is there, the name is too long, /proc makes nothing: no such folder can be
            if error.errno in NO_ROOM:
                raise
            raise self._unusable(error) from error

    def blob(self, digest: str, suffix: str) -> Path:
        """Return where the file of that content is, or would be."""
        return self.root / "blobs" / f"{digest}{suffix}"

    def verified(self, digest: str, suffix: str) -> Path | None:
        """Return the blob if it is here and whole, to stay while this process lives.

        What is not whole is removed, unless a process holds it: the next pull then puts a whole one in its place.
        """
        path = self.blob(digest, suffix)
        try:
            with holds.shared(path) as file:
                if _hash(file) == digest:
                    holds.keep(file)
                    return path
        except FileNotFoundError:
            return None
        holds.discard(path)
        return None

    def recall(self, place: str) -> Ref | None:
        """Return what is remembered of a place; a torn or foreign note is as good as none."""
        try:
            with open(open_file(self.root / "refs" / f"{place}.json"), "rb") as note:  # noqa: PTH123 - a descriptor
                return Ref(**json.loads(note.read(MOST_NOTE)))
        except (OSError, ValueError, TypeError, RecursionError):
            return None

    def remember(self, place: str, ref: Ref) -> None:
        """Note what the place was. Call it with the place's lock held."""
        text = json.dumps(ref._asdict() | {"metadata": dict(ref.metadata)})
        with self.partial(f"{place}.json") as note:
            note.touch(FILE_MODE, exist_ok=False)
            note.write_text(text)
            note.replace(self.root / "refs" / f"{place}.json")

    @contextlib.contextmanager
    def partial(self, place: str) -> Iterator[Path]:
        """Give a fresh path to pull into; whatever is left there at the end is removed. Call it with the lock held."""
        path = self.root / "partial" / place
        path.unlink(missing_ok=True)
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def adopt(self, path: Path, digest: str, suffix: str) -> Path:
        """Make a verified file an entry, at once and whole, to stay while this process lives."""
        with holds.shared(path) as file:
            holds.keep(file)
        return path.replace(self.blob(digest, suffix))

    def plant(self, files: Mapping[str, Path], *, timeout: float) -> Path:
        """Return a folder where each relative name is a hard link to its blob: the same folder for the same files.

        One planter at a time, and what is not right is mended in place, name by name: whoever was given the folder
        before finds every file in it all the while. Raises TimeoutError after `timeout` seconds.
        """
        listing = "\n".join(f"{name}\0{blob.name}" for name, blob in sorted(files.items()))
        tree = self.root / "trees" / sha256(listing.encode()).hexdigest()
        with self.lock(tree.name, timeout=timeout):
            for name, blob in files.items():
                self._make_folders(tree, (tree / name).parent)
                if not _is_link(tree / name, blob):
                    with self.partial(tree.name) as seedling:
                        os.link(blob, seedling)
                        seedling.replace(tree / name)
        return tree

    def _make_folders(self, tree: Path, folder: Path) -> None:
        """Make the folder and those above it up to the tree; what lies there and is not trusted is removed."""
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
    def lock(self, place: str, *, timeout: float) -> Iterator[None]:
        """Hold the place alone, across threads and processes.

        Raises TimeoutError after `timeout` seconds, and `BadSetting` where the lock is not trusted.

        `flock` of the kernel, not a lock library: one costs 11 ms of a cold start to import, this is the whole of it.
        """
        file = open_lock(self.root / "locks" / place)
        try:
            _acquire(file, until=time.monotonic() + timeout)
            yield
        finally:
            os.close(file)

    def refuse_beyond(self, size: int, uri: str) -> None:
        """Raise `DiskFull` where the file system has no room for that many bytes, as far as it knows."""
        state = os.statvfs(self.root)
        free = state.f_bavail * state.f_frsize
        if size > free:
            raise DiskFull(uri, f"the cache has no room: {size} bytes are needed, {free} are free", needed=size)

    def sweep(self, *, keep: str) -> None:
        """Remove what nobody needs any more: what pulls left that died, and what was replaced.

        A partial file whose lock is free has no owner; `keep` is our own.
        """
        for path in (self.root / "partial").iterdir():
            place = path.name.partition(".")[0]
            if place == keep:
                continue
            with contextlib.suppress(OSError, BadSetting), self.lock(place, timeout=0):
                _remove(path)
        self._evict()

    def _evict(self) -> None:
        # The blobs are listed before the notes are read: what appears meanwhile is not looked at.
        blobs = [*(self.root / "blobs").iterdir()]
        refs = [self.recall(note.stem) for note in (self.root / "refs").iterdir()]
        named = {ref.sha256 for ref in refs if ref is not None}
        for blob in blobs:
            if blob.stem not in named:
                with contextlib.suppress(OSError):
                    holds.discard(blob)
        for tree in (self.root / "trees").iterdir():
            # Who holds the lock may be about to link; whoever was given the folder holds its files.
            with contextlib.suppress(OSError, BadSetting), self.lock(tree.name, timeout=0):
                files = [path for path in tree.rglob("*") if path.is_file()]
                if _is_dead(files) and not any(holds.is_held(path) for path in files):
                    _remove(tree)

    @contextlib.contextmanager
    def faults(self, uri: str) -> Iterator[None]:
        """Translate what the file system says. Raises `DiskFull` and `BadSetting`."""
        try:
            yield
        except OSError as error:
            if error.errno in NO_ROOM:
                raise DiskFull(uri, f"the cache has no room: {error.strerror}") from error
            if error.errno in FORBIDDEN:
                raise self._unusable(error) from error
            raise

    def _unusable(self, error: OSError) -> BadSetting:
        allowed = f"a folder that this process may make and write ({error.strerror})"
        return BadSetting("SCALEZERO_CACHE_DIR", value=str(self.root), allowed=allowed)


def _acquire(file: int, *, until: float, sleep: Callable[[float], None] = time.sleep) -> None:
    pause = FIRST_LOOK
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= until:
                raise TimeoutError from None
        sleep(pause)
        pause = min(2 * pause, LAST_LOOK)


def _is_link(path: Path, blob: Path) -> bool:
    """Whether the name is still a link to its (just verified) blob."""
    try:
        return os.path.samestat(path.lstat(), blob.lstat())
    except OSError:
        return False


def _is_dead(files: Sequence[Path]) -> bool:
    """Whether the files of a tree are no model any more: one of them has no blob."""
    return not files or any(path.stat().st_nlink == 1 for path in files)


def _remove(path: Path) -> None:
    """Remove a file or a folder, or as much of it as can be."""
    if path.is_dir() and not path.is_symlink():
        import shutil  # trees are rare, and its import would be paid by every cold start

        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
