"""One HTTP/1.1 connection of a client. A stall timeout and a deadline limit each read."""

import socket
import ssl
import time
import weakref
from collections.abc import Iterator
from contextlib import suppress

from runtime.artifacts.http1 import END_OF_HEAD, Head, chunk_size, parse_head

MAX_HEAD_BYTES = 64 * 1024
MAX_LINE_BYTES = 4 * 1024  # of a line between chunks
MAX_INTERIM_RESPONSES = 8  # responses with status 1xx before the final response
MAX_TRAILERS = 8  # after the last chunk
PIECE_BYTES = 256 * 1024  # maximum of one read
TLS_ALERT = b"\x15\x03"  # start of the record with which a TLS server refuses plain HTTP (RFC 8446, section 5.1)


class BrokenExchangeError(Exception):
    """No complete response arrived. `timed_out`: the server sent nothing in time, but the connection did not break."""

    def __init__(self, reason: str, *, timed_out: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.timed_out = timed_out


class ClosedError(BrokenExchangeError):
    """The server closed the connection."""


class Connection:
    """A connection with a buffer of received bytes."""

    __slots__ = ("__weakref__", "_buffer", "_socket", "_stall", "close", "has_answered_http", "until")

    def __init__(self, connection: socket.socket, *, stall: float, until: float) -> None:
        self._socket = connection
        self._stall = stall
        self._buffer = b""
        self.until = until  # end of the exchange, on the monotonic clock
        self.has_answered_http = False  # whether bytes arrived that are not a TLS alert
        # Closes the socket when the garbage collector frees a connection whose response was not read to the end.
        self.close = weakref.finalize(self, connection.close)

    def send(self, message: bytes) -> Head:
        """Send a request and return the head of its response.

        Raises `BrokenExchangeError` and closes the connection if no valid head arrives.
        """
        try:
            self._socket.settimeout(self._read_timeout())
            self._socket.sendall(message)
            return self._read_head()
        except ValueError as error:
            self.close()
            raise BrokenExchangeError(str(error)) from error
        except OSError as error:
            self.close()
            raise _to_exchange_error(error) from error
        except BrokenExchangeError:
            self.close()
            raise

    def _read_head(self) -> Head:
        while len(self._buffer) < len(TLS_ALERT):
            self._buffer += self._receive()
        if self._buffer.startswith(TLS_ALERT):
            raise ValueError("the response is a TLS alert")
        self.has_answered_http = True
        for _ in range(MAX_INTERIM_RESPONSES):
            head = parse_head(self._read_until(END_OF_HEAD, limit=MAX_HEAD_BYTES))
            if head.status >= 200:  # noqa: PLR2004 - 1xx is an interim response (RFC 9110, section 15.2)
                return head
        raise ValueError(f"the response began with {MAX_INTERIM_RESPONSES} interim responses; expected fewer")

    def read_exactly(self, length: int) -> Iterator[bytes]:
        """Yield `length` bytes, in pieces."""
        while length:
            piece = self._read(min(length, PIECE_BYTES))
            length -= len(piece)
            yield piece

    def read_until_close(self) -> Iterator[bytes]:
        """Yield all bytes until the server closes the connection."""
        with suppress(ClosedError):
            while True:
                yield self._read(PIECE_BYTES)

    def read_chunks(self) -> Iterator[bytes]:
        """Yield the content of all chunks (RFC 9112, section 7.1). Raises ValueError for an invalid chunk."""
        while size := chunk_size(self._read_until(b"\r\n", limit=MAX_LINE_BYTES)):
            yield from self.read_exactly(size)
            if self._read_until(b"\r\n", limit=2):
                raise ValueError("the response has a chunk that is longer than its size")
        for _ in range(MAX_TRAILERS):
            if not self._read_until(b"\r\n", limit=MAX_LINE_BYTES):
                return
        raise ValueError(f"the response has {MAX_TRAILERS} trailers or more; expected fewer")

    def _read(self, limit: int) -> bytes:
        if not self._buffer:
            self._buffer = self._receive()
        piece, self._buffer = self._buffer[:limit], self._buffer[limit:]
        return piece

    def _read_until(self, separator: bytes, *, limit: int) -> bytes:
        """Return the bytes before the separator. Raises ValueError if they are more than `limit`."""
        searched = 0
        while (at := self._buffer.find(separator, searched)) < 0:
            searched = max(0, len(self._buffer) - len(separator) + 1)
            if len(self._buffer) > limit:
                break
            self._buffer += self._receive()
        if not 0 <= at <= limit:
            raise ValueError(f"the response has a line or a head of more than {limit} bytes")
        before, self._buffer = self._buffer[:at], self._buffer[at + len(separator) :]
        return before

    def _receive(self) -> bytes:
        try:
            self._socket.settimeout(self._read_timeout())
            piece = self._socket.recv(PIECE_BYTES)
        except OSError as error:
            raise _to_exchange_error(error) from error
        if not piece:
            raise ClosedError("the server closed the connection before the end of the response")
        return piece

    def _read_timeout(self) -> float:
        left = self.until - time.monotonic()
        if left <= 0:
            raise BrokenExchangeError("the response did not arrive before the deadline", timed_out=True)
        return min(self._stall, left)


def _to_exchange_error(error: OSError) -> BrokenExchangeError:
    if isinstance(error, TimeoutError):
        return BrokenExchangeError("no byte arrived within the stall timeout", timed_out=True)
    return BrokenExchangeError(f"the connection broke ({describe_error(error)})")


def describe_error(error: OSError | ValueError) -> str:
    """Return the system's text for the error, without addresses."""
    if isinstance(error, ssl.SSLError):
        return str(error.reason or "TLS error").lower().replace("_", " ")
    if isinstance(error, TimeoutError):
        return "timed out"
    return getattr(error, "strerror", None) or type(error).__name__
