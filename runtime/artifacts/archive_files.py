"""The files of a model archive: a zip file, or a tar file compressed with gzip. They are not written to disk.

The declared sizes are checked before anything is inflated, and no more bytes than declared are inflated.
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

PIECE_BYTES: Final = 1 << 20  # inflated at once
MAX_RATIO: Final = 100  # of the inflated to the compressed size; weights compress to a half at best
UNCHECKED_BYTES: Final = 64 << 20  # an entry up to this size may have any ratio: constants compress well
MAX_SHOWN_NAME: Final = 80  # characters of a name in an error
_MAX_ENTRIES: Final = 10_000
_MAX_INDEX_BYTES: Final = 1 << 20  # of a zip file's central directory, which is read into memory as a whole
_MAX_HEADER_BYTES: Final = 16 << 20  # of a tar file's headers: three blocks for each file
_ZIP, _GZIP = (b"PK\x03\x04", b"PK\x05\x06"), b"\x1f\x8b"
_END, _END_SIZE, _MAX_COMMENT = b"PK\x05\x06", 22, 65535  # the record at the end of a zip file
_ZIP64_LOCATOR, _ZIP64_LOCATOR_SIZE = b"PK\x06\x07", 20
_STORED: Final = 0  # a compression method of a zip file
_DEFLATED: Final = 8
_ENCRYPTED: Final = 1  # a flag of an entry


class ArchiveEntry(NamedTuple):
    """A file in an archive, with its sizes in bytes as the archive declares them."""

    size: int
    compressed_size: int


class Archive(Protocol):
    """An open archive of any format."""

    entries: dict[str, ArchiveEntry]

    def open(self, name: str) -> IO[bytes]:
        """Open an entry for reading."""


@contextlib.contextmanager
def open_archive(path: Path, *, uri: str) -> Iterator[Archive]:
    """Open an archive and list its entries.

    Raises `InvalidModel` if it is not an archive, is malformed or exceeds a limit. Errors of reads from it become
    `InvalidModel` too.
    """
    with translate_errors(uri), path.open("rb") as file:
        magic = file.read(4)
        file.seek(0)
        if magic in _ZIP:
            with _zip(file, uri) as archive:
                yield archive
        elif magic.startswith(_GZIP):
            with _tar(file, path.stat().st_size, uri) as archive:
                yield archive
        else:
            raise InvalidModel(uri, "not a model archive: expected a zip file, or a tar file compressed with gzip")


@contextlib.contextmanager
def translate_errors(uri: str) -> Iterator[None]:
    """Convert the exceptions of the libraries for a malformed archive. Does not convert errors of the local disk."""
    try:
        yield
    except (EOFError, NotImplementedError, RuntimeError, ValueError, zlib.error, struct.error) as error:
        raise InvalidModel(uri, f"not a model archive, or a damaged one: {str(error)[:MAX_SHOWN_NAME]}") from error
    except Exception as error:
        if type(error).__module__ not in {"gzip", "tarfile", "zipfile"}:
            raise
        raise InvalidModel(uri, f"not a model archive, or a damaged one: {str(error)[:MAX_SHOWN_NAME]}") from error


class _Zip:
    def __init__(self, file: "ZipFile", uri: str) -> None:
        self._file = file
        self.entries = {}
        for info in file.infolist():
            if info.is_dir():
                continue
            if info.flag_bits & _ENCRYPTED or info.compress_type not in {_STORED, _DEFLATED}:
                reason = f"its file {info.filename[:MAX_SHOWN_NAME]!r} is encrypted or compressed by method"
                raise InvalidModel(uri, f"{reason} {info.compress_type}; expected a file that is stored or deflated")
            self.entries[info.filename] = ArchiveEntry(info.file_size, info.compress_size)

    def open(self, name: str) -> IO[bytes]:
        return self._file.open(name)


@contextlib.contextmanager
def _zip(file: IO[bytes], uri: str) -> Iterator[_Zip]:
    import zipfile  # imported here because archives are rare and every cold start would pay for the import

    _check_central_directory(file, uri)
    with zipfile.ZipFile(file) as archive:
        yield _Zip(archive, uri)


def _check_central_directory(file: IO[bytes], uri: str) -> None:
    """Raise `InvalidModel` for a zip file with a large central directory, which the library would read as a whole."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _END_SIZE - _MAX_COMMENT - _ZIP64_LOCATOR_SIZE))
    tail = file.read()
    at = tail.rfind(_END)
    index_size = struct.unpack_from("<L", tail, at + 12)[0] if 0 <= at <= len(tail) - _END_SIZE else 0
    locator = tail[max(0, at - _ZIP64_LOCATOR_SIZE) : max(0, at)]
    if locator.startswith(_ZIP64_LOCATOR):
        file.seek(struct.unpack_from("<Q", locator, 8)[0])
        index_size = struct.unpack_from("<Q", file.read(48), 40)[0]
    file.seek(0)
    if index_size > _MAX_INDEX_BYTES:
        raise InvalidModel(uri, f"its list of files has {index_size} bytes; expected at most {_MAX_INDEX_BYTES}")


class _Tar:
    def __init__(self, file: "TarFile", compressed_size: int, uri: str) -> None:
        self._file = file
        self._members: dict[str, TarInfo] = {}
        self.entries = {}
        index_size = end = 0
        for count, info in enumerate(file):
            index_size += max(0, info.offset_data - end)  # the size of this file's headers, which has no limit
            end = info.offset_data + info.size  # checked before the library skips to it
            if (
                index_size > _MAX_HEADER_BYTES
                or count >= _MAX_ENTRIES
                or end > max(UNCHECKED_BYTES, MAX_RATIO * compressed_size)
            ):
                raise InvalidModel(
                    uri,
                    f"it contains more than {_MAX_ENTRIES} files or {_MAX_HEADER_BYTES} bytes of headers, "
                    f"or inflates to more than {MAX_RATIO} times its size",
                )
            if info.isreg():
                self._members[info.name.removeprefix("./")] = info
        root = next((name.removesuffix(MANIFEST) for name in self._members if name.endswith(f"/{MANIFEST}")), "")
        self._members = {name.removeprefix(root): info for name, info in self._members.items()}
        self.entries = {name: ArchiveEntry(info.size, compressed_size) for name, info in self._members.items()}

    def open(self, name: str) -> IO[bytes]:
        file = self._file.extractfile(self._members[name])
        assert file is not None  # noqa: S101 - it is a regular file
        return file


@contextlib.contextmanager
def _tar(file: IO[bytes], compressed_size: int, uri: str) -> Iterator[_Tar]:
    import gzip
    import tarfile

    with gzip.GzipFile(fileobj=file) as inflated:
        bounded = cast("IO[bytes]", _BoundedReader(inflated))
        with tarfile.open(fileobj=bounded, mode="r:") as archive:
            yield _Tar(archive, compressed_size, uri)


class _BoundedReader:
    """A file with a limit for each read: the headers of a tar file decide how many bytes the library reads at once."""

    def __init__(self, file: Any) -> None:  # noqa: ANN401 - gzip's own class, which is imported late
        self._file = file
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int) -> bytes:
        if not 0 <= size <= PIECE_BYTES:
            raise ValueError(f"a header of {size} bytes; expected at most {PIECE_BYTES}")
        content: bytes = self._file.read(size)
        return content
