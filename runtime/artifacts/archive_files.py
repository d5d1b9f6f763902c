"""The files of a model archive: a zip file, or a tar file compressed by gzip. Nothing is unpacked to a path.

What an archive says of its sizes is looked at before anything is inflated, and inflating ends there.
Source: PKWARE, APPNOTE.TXT, 4.3 (end of central directory).
"""

import contextlib
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, NamedTuple, Protocol, cast

from runtime.artifacts.uris import MANIFEST
from runtime.errors import InvalidModel

if TYPE_CHECKING:
    from tarfile import TarFile, TarInfo
    from zipfile import ZipFile

PIECE: Final = 1 << 20  # bytes that are inflated at once
RATIO: Final = 100  # times its packed size: weights compress to a half at best
FREE: Final = 64 << 20  # bytes that an entry may have whatever its ratio: constants compress well
ECHOED: Final = 80  # characters of a name that an error repeats
_MOST_ENTRIES: Final = 10_000
_LARGEST_INDEX: Final = 1 << 20  # bytes of what lists the files, all of which is read into memory
_HEADERS_AT_MOST: Final = 16 << 20  # bytes of a tar file's headers: three blocks for each file
_ZIP, _GZIP = (b"PK\x03\x04", b"PK\x05\x06"), b"\x1f\x8b"
_END, _END_SIZE, _LONGEST_COMMENT = b"PK\x05\x06", 22, 65535  # the record at a zip file's end
_ZIP64_LOCATOR, _ZIP64_LOCATOR_SIZE = b"PK\x06\x07", 20
_PLAIN: Final = 0  # of a zip file's compression methods: stored
_DEFLATED: Final = 8
_ENCRYPTED: Final = 1  # of an entry's flags


class Entry(NamedTuple):
    """A file in an archive: its sizes in bytes, as the archive states them."""

    size: int
    packed: int


class Archive(Protocol):
    """What all forms have in common."""

    entries: dict[str, Entry]

    def open(self, name: str) -> IO[bytes]:
        """Open an entry to read."""


@contextlib.contextmanager
def opened(path: Path, *, uri: str) -> Iterator[Archive]:
    """Open an archive, whose entries are listed.

    Raises `InvalidModel` where it is none, or is malformed or beyond the limits; so does what is done with it.
    """
    with readable(uri), path.open("rb") as file:
        magic = file.read(4)
        file.seek(0)
        if magic in _ZIP:
            with _zip(file, uri) as archive:
                yield archive
        elif magic.startswith(_GZIP):
            with _tar(file, path.stat().st_size, uri) as archive:
                yield archive
        else:
            raise InvalidModel(uri, "not a model archive: expected a zip file, or a tar file compressed by gzip")


@contextlib.contextmanager
def readable(uri: str) -> Iterator[None]:
    """Translate what the libraries raise for a malformed archive; faults of this machine's disk pass."""
    try:
        yield
    except (EOFError, NotImplementedError, RuntimeError, ValueError, zlib.error, struct.error) as error:
        raise InvalidModel(uri, f"not a model archive that can be read: {str(error)[:ECHOED]}") from error
    except Exception as error:
        if type(error).__module__ not in {"gzip", "tarfile", "zipfile"}:
            raise
        raise InvalidModel(uri, f"not a model archive that can be read: {str(error)[:ECHOED]}") from error


class _Zip:
    def __init__(self, file: "ZipFile", uri: str) -> None:
        self._file = file
        self.entries = {}
        for info in file.infolist():
            if info.is_dir():
                continue
            if info.flag_bits & _ENCRYPTED or info.compress_type not in {_PLAIN, _DEFLATED}:
                reason = f"its file {info.filename[:ECHOED]!r} is encrypted or compressed by method"
                raise InvalidModel(uri, f"{reason} {info.compress_type}; expected a file that is stored or deflated")
            self.entries[info.filename] = Entry(info.file_size, info.compress_size)

    def open(self, name: str) -> IO[bytes]:
        return self._file.open(name)


@contextlib.contextmanager
def _zip(file: IO[bytes], uri: str) -> Iterator[_Zip]:
    import zipfile  # archives are rare, and its import would be paid by every cold start

    _bound_index(file, uri)
    with zipfile.ZipFile(file) as archive:
        yield _Zip(archive, uri)


def _bound_index(file: IO[bytes], uri: str) -> None:
    """Refuse a zip file whose central directory is large: the library reads all of it. Raises `InvalidModel`."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _END_SIZE - _LONGEST_COMMENT - _ZIP64_LOCATOR_SIZE))
    tail = file.read()
    at = tail.rfind(_END)
    index = struct.unpack_from("<L", tail, at + 12)[0] if 0 <= at <= len(tail) - _END_SIZE else 0
    locator = tail[max(0, at - _ZIP64_LOCATOR_SIZE) : max(0, at)]
    if locator.startswith(_ZIP64_LOCATOR):
        file.seek(struct.unpack_from("<Q", locator, 8)[0])
        index = struct.unpack_from("<Q", file.read(48), 40)[0]
    file.seek(0)
    if index > _LARGEST_INDEX:
        raise InvalidModel(uri, f"its list of files has {index} bytes; expected at most {_LARGEST_INDEX}")


class _Tar:
    def __init__(self, file: "TarFile", packed: int, uri: str) -> None:
        self._file = file
        self._places: dict[str, TarInfo] = {}
        self.entries = {}
        index = end = 0
        for count, info in enumerate(file):
            index += max(0, info.offset_data - end)  # of the headers of this file, which may be of any length
            end = info.offset_data + info.size  # before the library skips so many bytes
            if index > _HEADERS_AT_MOST or count >= _MOST_ENTRIES or end > max(FREE, RATIO * packed):
                raise InvalidModel(
                    uri,
                    f"it holds more than {_MOST_ENTRIES} files or {_HEADERS_AT_MOST} bytes of headers, "
                    f"or inflates to more than {RATIO} times its size",
                )
            if info.isreg():
                self._places[info.name.removeprefix("./")] = info
        root = next((name.removesuffix(MANIFEST) for name in self._places if name.endswith(f"/{MANIFEST}")), "")
        self._places = {name.removeprefix(root): info for name, info in self._places.items()}
        self.entries = {name: Entry(info.size, packed) for name, info in self._places.items()}

    def open(self, name: str) -> IO[bytes]:
        file = self._file.extractfile(self._places[name])
        assert file is not None  # noqa: S101 - it is a regular file
        return file


@contextlib.contextmanager
def _tar(file: IO[bytes], packed: int, uri: str) -> Iterator[_Tar]:
    import gzip
    import tarfile

    with gzip.GzipFile(fileobj=file) as inflated:
        bounded = cast("IO[bytes]", _Bounded(inflated))
        with tarfile.open(fileobj=bounded, mode="r:") as archive:
            yield _Tar(archive, packed, uri)


class _Bounded:
    """A file that gives little at a time: a tar file's headers state how much of them is read at once."""

    def __init__(self, file: Any) -> None:  # noqa: ANN401 - gzip's own class, which is imported late
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int) -> bytes:
        if not 0 <= size <= PIECE:
            raise ValueError(f"a header of {size} bytes")
        content: bytes = self._file.read(size)
        return content
