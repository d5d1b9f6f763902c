"""The standard streams of a call, as anonymous files in memory.

wasmtime's Python package reads stdin only from a path. A callback for stdout would be called on threads of wasmtime,
for each write, also while the process ends; so stdout is a file too. Its size is watched by the engine's clock: a file
that exceeds the limit is sealed, and further writes of the guest fail.
"""

import fcntl
import os
from typing import Final, Self

_READ: Final = 2**20  # bytes
_FULL: Final = fcntl.F_SEAL_GROW


class MemoryFile:
    """An anonymous file with a path, which exists until it is closed."""

    def __init__(self, name: str, content: bytes = b"") -> None:
        self._fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            view = memoryview(content)
            while view:
                view = view[os.write(self._fd, view) :]
        except BaseException:
            self.close()
            raise

    @property
    def path(self) -> str:
        """The path under which this process can open the file."""
        return f"/proc/self/fd/{self._fd}"

    @property
    def size(self) -> int:
        """The size in bytes."""
        return os.fstat(self._fd).st_size

    def seal(self) -> None:
        """Let all writes that would make the file larger fail."""
        fcntl.fcntl(self._fd, fcntl.F_ADD_SEALS, _FULL)

    def read(self) -> bytes:
        """Return the content."""
        size, pieces, offset = self.size, [], 0
        while offset < size:
            piece = os.pread(self._fd, min(_READ, size - offset), offset)
            if not piece:
                break
            pieces.append(piece)
            offset += len(piece)
        return b"".join(pieces)

    def close(self) -> None:
        """Delete the file once nothing has it open."""
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
