"""An HTTP client for one server, which limits what a hostile or broken server can do to this process.

    exchange(message) -> Response: its head, then its body in pieces, or only the start of its body

The client follows no redirect, so that a session token is sent only to its own server. A head has at most 64 KiB, the
body of an error is truncated, and each read ends at the stall timeout or the deadline, whichever comes first. Client
libraries follow redirects or read the complete body of an error. This client imports nothing that a start does not
import anyway.
"""

import os
import re
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from runtime.artifacts.access import S3Access, certificates
from runtime.artifacts.http1 import Head, render_request
from runtime.artifacts.wire import BrokenExchangeError, Connection, describe_error
from runtime.errors import BadSetting

if TYPE_CHECKING:
    from runtime.artifacts.proxies import Proxy

CONNECT_TIMEOUT = 5.0  # seconds; a handshake that takes longer is an outage, not a slow store
END_OF_CERTIFICATE = b"-----END CERTIFICATE-----"
HASHED = re.compile(r"[0-9a-f]{8}\.[0-9]+")  # the name under which OpenSSL looks up a certificate
DEFAULT_PORTS = {"http": 80, "https": 443}


class Origin(NamedTuple):
    """The scheme, host and port of a server."""

    scheme: str  # http or https
    host: str
    port: int

    @property
    def authority(self) -> str:
        """The value of the Host header, in the same form as in the signature."""
        return self.address.removesuffix(f":{DEFAULT_PORTS[self.scheme]}")

    @property
    def url(self) -> str:
        """The URL without a path and a query, which may be secret."""
        return f"{self.scheme}://{self.authority}"

    @property
    def address(self) -> str:
        """The host and the port, also if it is the default of the scheme."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


def origin_of(url: str) -> Origin:
    """Return the origin of a valid http or https URL."""
    parts = urlsplit(url)
    return Origin(parts.scheme, parts.hostname or "", parts.port or DEFAULT_PORTS[parts.scheme])


class Limits(NamedTuple):
    """The time limits of an exchange, in seconds."""

    stall: float  # without a byte
    deadline: float  # until the end of the head; the reader of the body limits the time for the body


def client_for(url: str, *, access: S3Access, limits: Limits, variable: str, direct: bool = False) -> "Client":
    """Create a client for a valid URL, without sending anything. `direct`: use no proxy.

    `variable` is the environment variable that has the URL, for errors.
    Raises `BadSetting` for an invalid CA bundle or proxy.
    """
    origin, bundle = origin_of(url), certificates(access)
    proxy = None if direct else proxy_of(origin)
    if origin.scheme == "https":
        tls = _load_bundle(access, bundle, system_context())
        return Client(origin, limits=limits, tls=tls, proxy=proxy)
    if bundle is not None:  # http does not use the bundle, so only its first certificate is checked
        first = bundle.partition(END_OF_CERTIFICATE)[0] + END_OF_CERTIFICATE
        _load_bundle(access, first, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    return Client(origin, limits=limits, proxy=proxy, https_advice=f"use https://{origin.address} in {variable}")


def proxy_of(origin: Origin) -> "Proxy | None":
    """Return the proxy for a server, from the environment; None: a direct connection. Raises `BadSetting`."""
    if not any(name.lower().endswith("_proxy") and name.lower() != "no_proxy" for name in os.environ):
        return None
    from runtime.artifacts.proxies import proxy_for  # imported here because a cold start rarely needs it

    return proxy_for(origin.scheme, origin.host, os.environ)


def system_context() -> ssl.SSLContext:
    """Return a context that trusts the system's certificates.

    In a folder of hashed names, OpenSSL looks up a certificate when it needs it. Loading all of them takes 20 to 40 ms.
    """
    folder = ssl.get_default_verify_paths().capath
    hashed = folder is not None and any(HASHED.fullmatch(path.name) for path in Path(folder).iterdir())
    if "SSL_CERT_FILE" in os.environ or not hashed:
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(capath=folder)
    return context


def _load_bundle(access: S3Access, bundle: bytes | None, context: ssl.SSLContext) -> ssl.SSLContext:
    """Add the bundle's certificates to those that the context trusts."""
    try:
        if bundle is not None:
            context.load_verify_locations(cadata=bundle.decode("ascii", "replace"))
    except (ssl.SSLError, ValueError) as error:
        allowed = f"a PEM file with certificates ({describe_error(error)})"
        raise BadSetting("AWS_CA_BUNDLE", value=str(access.ca_bundle), allowed=allowed) from error
    return context


def _is_plain_http(error: OSError | ValueError) -> bool:
    """Whether the server responded to the TLS handshake without TLS."""
    return isinstance(error, ssl.SSLError) and error.reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST"}


class Response:
    """A response whose body is not read yet."""

    def __init__(self, client: "Client", connection: "Connection", head: Head) -> None:
        self.head = head
        self._client = client
        self._connection: Connection | None = connection
        if head.length == 0:
            self._done()

    def pieces(self) -> Iterator[bytes]:
        """Yield the body in pieces, as they arrive. Raises `BrokenExchangeError` if it is incomplete."""
        connection = self._connection
        if connection is None:
            return
        try:
            if self.head.chunked:
                yield from connection.read_chunks()
            elif self.head.length is not None:
                yield from connection.read_exactly(self.head.length)
            else:
                yield from connection.read_until_close()
            self._done()
        except ValueError as error:
            raise BrokenExchangeError(str(error)) from error
        finally:
            self.close()

    def read_start(self, limit: int, *, seconds: float) -> bytes:
        """Return at most `limit` bytes that arrive within `seconds`, and close. Used for the body of an error."""
        if self._connection is not None:
            self._connection.until = time.monotonic() + seconds
        text = b""
        with suppress(BrokenExchangeError):
            for piece in self.pieces():
                text += piece[:limit]
                if len(text) >= limit:
                    break
        self.close()
        return text[:limit]

    def close(self) -> None:
        """Close the connection, and discard the rest of the body."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _done(self) -> None:
        if self._connection is not None and self.head.keeps_alive:
            self._client.release(self._connection)
            self._connection = None  # another thread may use it now


class Client:
    """A client of one origin, which keeps connections alive. Threads may share it."""

    def __init__(
        self,
        origin: Origin,
        *,
        limits: Limits,
        tls: ssl.SSLContext | None = None,
        proxy: "Proxy | None" = None,
        https_advice: str | None = None,
    ) -> None:
        """Create the client without opening a connection. `tls` is the context for https.

        `https_advice` is for errors of http: the next step if the server expects TLS.
        """
        self.origin = origin
        self.https_advice = https_advice
        self._limits = limits
        self._proxy = proxy
        self._tls = tls
        self._idle: list[Connection] = []

    def render_request(self, method: str, path: str, headers: Mapping[str, str], *, body: bytes = b"") -> bytes:
        """Return a request in the form that the server or its proxy accepts. Raises ValueError, see `http1`."""
        if self._proxy is None or self._tls is not None:
            return render_request(method, path, headers, body=body)
        return render_request(method, f"{self.origin.url}{path}", {**headers, **self._proxy.headers}, body=body)

    def exchange(self, message: bytes) -> Response:
        """Send a request and return its response. Raises `BrokenExchangeError`."""
        until = time.monotonic() + self._limits.deadline
        if (response := self._exchange_on_idle(message, until)) is not None:
            return response
        connection = self._connect(until)
        try:
            return Response(self, connection, connection.send(message))
        except BrokenExchangeError as error:
            # A server that expects TLS answers plain HTTP with an alert, or closes the connection.
            may_expect_tls = not (connection.has_answered_http or error.timed_out or self._proxy)
            if not may_expect_tls or self.https_advice is None:
                raise
            advice = f"{self.https_advice} if the server uses TLS"
            raise BrokenExchangeError(f"{error.reason}; {advice}") from error

    def release(self, connection: "Connection") -> None:
        """Keep a connection for the next request, after its response was read completely."""
        self._idle.append(connection)

    def _exchange_on_idle(self, message: bytes, until: float) -> Response | None:
        """Send the request on an idle connection. Returns None if there is none, or if the server has closed it."""
        try:
            connection = self._idle.pop()
            connection.until = until
            return Response(self, connection, connection.send(message))
        except IndexError:
            return None
        except BrokenExchangeError as error:
            if error.timed_out:
                raise
            return None

    def _connect(self, until: float) -> "Connection":
        timeout = min(CONNECT_TIMEOUT, self._limits.stall, self._limits.deadline)
        server = self._proxy or self.origin
        try:
            plain = socket.create_connection((server.host, server.port), timeout=timeout)
        except (OSError, UnicodeError) as error:
            through = " to the proxy" if self._proxy else ""
            raise BrokenExchangeError(f"no connection{through} ({describe_error(error)})") from error
        if self._tls is None:
            return Connection(plain, stall=self._limits.stall, until=until)
        if self._proxy is not None:
            self._tunnel(plain, self._proxy, until)
        try:
            secure = self._tls.wrap_socket(plain, server_hostname=self.origin.host)
        except ssl.SSLCertVerificationError as error:
            plain.close()
            advice = "set AWS_CA_BUNDLE to a file with the certificate of its authority"
            raise BrokenExchangeError(f"its certificate is not trusted ({error.verify_message}); {advice}") from error
        except (OSError, ValueError) as error:
            plain.close()
            advice = "; use http:// if the server does not use TLS" if _is_plain_http(error) else ""
            raise BrokenExchangeError(f"no TLS connection ({describe_error(error)}){advice}") from error
        return Connection(secure, stall=self._limits.stall, until=until)

    def _tunnel(self, plain: socket.socket, proxy: "Proxy", until: float) -> None:
        """Open a tunnel through the proxy (CONNECT, RFC 9110, section 9.3.6)."""
        connection = Connection(plain.dup(), stall=self._limits.stall, until=until)
        address = self.origin.address
        try:
            head = connection.send(render_request("CONNECT", address, {"host": address, **proxy.headers}))
        except BrokenExchangeError:
            plain.close()
            raise
        connection.close()
        if head.status != 200:  # noqa: PLR2004 - the number is the HTTP status
            plain.close()
            raise BrokenExchangeError(f"the proxy answered CONNECT with status {head.status}; expected 200")
