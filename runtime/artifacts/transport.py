"""Connections to one server, for requests that a hostile or broken server cannot turn against the process.

    exchange(request) -> Reply: its head, then its body in pieces, or the beginning of it

It follows no redirect: a session token goes to the server that it is meant for. The head is at most 64 KiB, an error's
body is cut, and every read ends with the stall timeout or the deadline, whichever comes first. Client libraries follow
redirects by themselves or read an error's body whole. This one needs nothing that a start has not imported.
"""

import socket
import ssl
import time
import weakref
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import urlsplit

from runtime.artifacts.access import S3Access, certificates
from runtime.artifacts.http1 import END_OF_HEAD, Head, chunk_size, parse_head
from runtime.errors import BadSetting

CONNECT_TIMEOUT = 5.0  # seconds; a handshake that takes longer is an outage, not a slow store
MOST_HEAD = 64 * 1024  # bytes
MOST_LINE = 4 * 1024  # bytes of a line between chunks
MOST_INTERIM = 8  # answers of status 1xx before the real one
PIECE = 256 * 1024  # bytes read at once
END_OF_CERTIFICATE = b"-----END CERTIFICATE-----"
DEFAULT_PORTS = {"http": 80, "https": 443}


class BrokenExchangeError(Exception):
    """No whole answer came. The text says why; `timed_out` tells silence from a connection that broke."""

    def __init__(self, reason: str, *, timed_out: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.timed_out = timed_out


class Origin(NamedTuple):
    """Where a server is."""

    scheme: str  # http or https
    host: str
    port: int

    @property
    def authority(self) -> str:
        """The value of the Host header, in the form that the signature has too."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"


def origin_of(url: str) -> Origin:
    """Return the origin of an http or https URL that has been checked."""
    parts = urlsplit(url)
    return Origin(parts.scheme, parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme])


class Limits(NamedTuple):
    """How long an exchange may take, in seconds."""

    stall: float  # without a byte
    deadline: float  # for the head; a body is bounded by who reads it


def client_for(url: str, *, access: S3Access, limits: Limits) -> "Client":
    """Make a client for a checked URL; nothing is sent yet. Raises `BadSetting` where the CA bundle does not work."""
    origin, bundle = origin_of(url), certificates(access)
    if origin.scheme == "https":
        return Client(origin, limits=limits, tls=_trusting(access, bundle, ssl.create_default_context()))
    if bundle is not None:  # not needed here, so a look at its first certificate is enough
        first = bundle.partition(END_OF_CERTIFICATE)[0] + END_OF_CERTIFICATE
        _trusting(access, first, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    return Client(origin, limits=limits, tls=None)


def _trusting(access: S3Access, bundle: bytes | None, context: ssl.SSLContext) -> ssl.SSLContext:
    """Trust the bundle's certificates besides those that the context has."""
    try:
        if bundle is not None:
            context.load_verify_locations(cadata=bundle.decode("ascii", "replace"))
    except (ssl.SSLError, ValueError) as error:
        allowed = f"a PEM file with certificates ({_words(error)})"
        raise BadSetting("AWS_CA_BUNDLE", value=str(access.ca_bundle), allowed=allowed) from error
    return context


class Reply:
    """An answer whose body is still on its way."""

    def __init__(self, client: "Client", wire: "_Wire", head: Head) -> None:
        self.head = head
        self._client = client
        self._wire: _Wire | None = wire
        if head.length == 0:
            self._done()

    def pieces(self) -> Iterator[bytes]:
        """Yield the body as it comes. Raises `BrokenExchangeError` where it breaks off."""
        wire = self._wire
        if wire is None:
            return
        try:
            if self.head.chunked:
                yield from wire.chunks()
            elif self.head.length is not None:
                yield from wire.exactly(self.head.length)
            else:
                yield from wire.rest()
            self._done()
        except ValueError as error:
            raise BrokenExchangeError(str(error)) from error
        finally:
            self.close()

    def beginning(self, most: int, *, seconds: float) -> bytes:
        """Return the first bytes of the body, as many as come in that time, and close: for an error's text."""
        if self._wire is not None:
            self._wire.until = time.monotonic() + seconds
        text = b""
        with suppress(BrokenExchangeError):
            for piece in self.pieces():
                text += piece[:most]
                if len(text) >= most:
                    break
        self.close()
        return text[:most]

    def close(self) -> None:
        """Give up what is left of the body."""
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    def _done(self) -> None:
        if self._wire is not None and self.head.keeps_alive:
            self._client.put_back(self._wire)
            self._wire = None  # another thread may have it by now


class Client:
    """Connections to one origin, kept for the next request. Threads may share it."""

    def __init__(self, origin: Origin, *, limits: Limits, tls: ssl.SSLContext | None) -> None:
        """`tls` is for https; nothing is opened yet."""
        self.origin = origin
        self._limits = limits
        self._tls = tls
        self._idle: list[_Wire] = []

    def exchange(self, request: bytes) -> Reply:
        """Send a request and return its answer. Raises `BrokenExchangeError`."""
        until = time.monotonic() + self._limits.deadline
        if (reply := self._again(request, until)) is not None:
            return reply
        wire = self._connect(until)
        return Reply(self, wire, wire.ask(request))

    def put_back(self, wire: "_Wire") -> None:
        """Keep a connection whose answer has been read whole."""
        self._idle.append(wire)

    def _again(self, request: bytes, until: float) -> Reply | None:
        """Ask over a kept connection; None where there is none, or where the server has closed it meanwhile."""
        try:
            wire = self._idle.pop()
            wire.until = until
            return Reply(self, wire, wire.ask(request))
        except IndexError:
            return None
        except BrokenExchangeError as error:
            if error.timed_out:
                raise
            return None

    def _connect(self, until: float) -> "_Wire":
        timeout = min(CONNECT_TIMEOUT, self._limits.stall, self._limits.deadline)
        try:
            plain = socket.create_connection((self.origin.host, self.origin.port), timeout=timeout)
        except (OSError, UnicodeError) as error:
            raise BrokenExchangeError(f"no connection ({_words(error)})") from error
        if self._tls is None:
            return _Wire(plain, stall=self._limits.stall, until=until)
        try:
            secure = self._tls.wrap_socket(plain, server_hostname=self.origin.host)
        except ssl.SSLCertVerificationError as error:
            plain.close()
            advice = "AWS_CA_BUNDLE may name a file with the right ones"
            raise BrokenExchangeError(f"its certificate is not trusted ({error.verify_message}); {advice}") from error
        except (OSError, ValueError) as error:
            plain.close()
            raise BrokenExchangeError(f"no TLS connection ({_words(error)})") from error
        return _Wire(secure, stall=self._limits.stall, until=until)


class _Wire:
    """One connection, and the bytes that were read from it beyond what was asked."""

    __slots__ = ("__weakref__", "_ahead", "_socket", "_stall", "close", "until")

    def __init__(self, connection: socket.socket, *, stall: float, until: float) -> None:
        self._socket = connection
        self._stall = stall
        self._ahead = b""
        self.until = until  # on the monotonic clock: when the exchange must be over
        # What nobody reads to its end is closed when it is forgotten, whatever else goes with it.
        self.close = weakref.finalize(self, connection.close)

    def ask(self, request: bytes) -> Head:
        """Send a request and read the head of its answer. It closes the connection where it fails."""
        try:
            self._socket.settimeout(self._patience())
            self._socket.sendall(request)
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
        with suppress(_ClosedError):
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
            raise _ClosedError("the connection was closed in the middle of an answer")
        return piece

    def _patience(self) -> float:
        left = self.until - time.monotonic()
        if left <= 0:
            raise BrokenExchangeError("the answer took too long", timed_out=True)
        return min(self._stall, left)


class _ClosedError(BrokenExchangeError):
    """The server closed the connection."""


def _broken(error: OSError) -> BrokenExchangeError:
    if isinstance(error, TimeoutError):
        return BrokenExchangeError("nothing came for too long", timed_out=True)
    return BrokenExchangeError(f"the connection broke ({_words(error)})")


def _words(error: OSError | ValueError) -> str:
    """Say what the system said, without addresses."""
    if isinstance(error, ssl.SSLError):
        return str(error.reason or "TLS error").lower().replace("_", " ")
    if isinstance(error, TimeoutError):
        return "timed out"
    return getattr(error, "strerror", None) or type(error).__name__
