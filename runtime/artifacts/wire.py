"""One connection: bytes in, bytes out, each read bounded by a stall timeout and a deadline."""

import socket
import ssl
import time
import weakref
from collections.abc import Iterator
from contextlib import suppress

from runtime.artifacts.http1 import END_OF_HEAD, Head, chunk_size, parse_head

MOST_HEAD = 64 * 1024  # bytes
MOST_LINE = 4 * 1024  # bytes of a line between chunks
MOST_INTERIM = 8  # answers of status 1xx before the real one, and trailers after the last chunk
PIECE = 256 * 1024  # bytes read at once


class BrokenExchangeError(Exception):
    """No whole answer came. The text says why; `timed_out` tells silence from a connection that broke."""

    def __init__(self, reason: str, *, timed_out: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.timed_out = timed_out


class ClosedError(BrokenExchangeError):
    """The server closed the connection."""


class Wire:
    """One connection, and the bytes that were read from it beyond what was asked."""

    __slots__ = ("__weakref__", "_ahead", "_socket", "_stall", "close", "until")

    def __init__(self, connection: socket.socket, *, stall: float, until: float) -> None:
        self._socket = connection
        self._stall = stall
        self._ahead = b""
        self.until = until  # on the monotonic clock: when the exchange must be over
        # What nobody reads to its end is closed when it is forgotten, whatever else goes with it.
        self.close = weakref.finalize(self, connection.close)

    def ask(self, message: bytes) -> Head:
        """Send a request and read the head of its answer. It closes the connection where it fails."""
        try:
            self._socket.settimeout(self._patience())
            self._socket.sendall(message)
            return self._head()
        except ValueError as error:
            self.close()
            raise BrokenExchangeError(str(error)) from error
        except OSError as error:
            self.close()
            raise _broken(error) from error
        except BrokenExchangeError:
            self.close()
            raise

    def _head(self) -> Head:
        for _ in range(MOST_INTERIM):
            head = parse_head(self._until(END_OF_HEAD, most=MOST_HEAD))
            if head.status >= 200:  # noqa: PLR2004 - 1xx is not the answer yet (RFC 9110, section 15.2)
                return head
        raise ValueError("only interim answers came")

    def exactly(self, length: int) -> Iterator[bytes]:
        """Yield that many bytes, in pieces."""
        while length:
            piece = self._some(min(length, PIECE))
            length -= len(piece)
            yield piece

    def rest(self) -> Iterator[bytes]:
        """Yield what comes until the server closes the connection."""
        with suppress(ClosedError):
            while True:
                yield self._some(PIECE)

    def chunks(self) -> Iterator[bytes]:
        """Yield the content of all chunks (RFC 9112, section 7.1). Raises ValueError where they are none."""
        while size := chunk_size(self._until(b"\r\n", most=MOST_LINE)):
            yield from self.exactly(size)
            if self._until(b"\r\n", most=2):
                raise ValueError("the answer has a chunk that is longer than its size")
        for _ in range(MOST_INTERIM):  # trailers
            if not self._until(b"\r\n", most=MOST_LINE):
                return
        raise ValueError("the answer has too many trailers")

    def _some(self, most: int) -> bytes:
        if not self._ahead:
            self._ahead = self._receive()
        piece, self._ahead = self._ahead[:most], self._ahead[most:]
        return piece

    def _until(self, mark: bytes, *, most: int) -> bytes:
        """Return what comes before the mark. Raises ValueError where that is more than `most` bytes."""
        searched = 0
        while (at := self._ahead.find(mark, searched)) < 0:
            searched = max(0, len(self._ahead) - len(mark) + 1)
            if len(self._ahead) > most:
                break
            self._ahead += self._receive()
        if not 0 <= at <= most:
            raise ValueError(f"the answer has a line or a head of more than {most} bytes")
        before, self._ahead = self._ahead[:at], self._ahead[at + len(mark) :]
        return before

    def _receive(self) -> bytes:
        try:
            self._socket.settimeout(self._patience())
            piece = self._socket.recv(PIECE)
        except OSError as error:
            raise _broken(error) from error
        if not piece:
            raise ClosedError("the connection was closed in the middle of an answer")
        return piece

    def _patience(self) -> float:
        left = self.until - time.monotonic()
        if left <= 0:
            raise BrokenExchangeError("the answer took too long", timed_out=True)
        return min(self._stall, left)


def _broken(error: OSError) -> BrokenExchangeError:
    if isinstance(error, TimeoutError):
        return BrokenExchangeError("nothing came for too long", timed_out=True)
    return BrokenExchangeError(f"the connection broke ({words(error)})")


def words(error: OSError | ValueError) -> str:
    """Say what the system said, without addresses."""
    if isinstance(error, ssl.SSLError):
        return str(error.reason or "TLS error").lower().replace("_", " ")
    if isinstance(error, TimeoutError):
        return "timed out"
    return getattr(error, "strerror", None) or type(error).__name__
