"""Connections to one server, for requests that a hostile or broken server cannot turn against the process.

    exchange(message) -> Reply: its head, then its body in pieces, or the beginning of it

It follows no redirect: a session token goes to the server that it is meant for. The head is at most 64 KiB, an error's
body is cut, and every read ends with the stall timeout or the deadline, whichever comes first. Client libraries follow
redirects by themselves or read an error's body whole. This one needs nothing that a start has not imported.
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
from runtime.artifacts.http1 import Head, request
from runtime.artifacts.wire import BrokenExchangeError, Wire, words
from runtime.errors import BadSetting

if TYPE_CHECKING:
    from runtime.artifacts.proxies import Proxy

CONNECT_TIMEOUT = 5.0  # seconds; a handshake that takes longer is an outage, not a slow store
END_OF_CERTIFICATE = b"-----END CERTIFICATE-----"
HASHED = re.compile(r"[0-9a-f]{8}\.[0-9]+")  # as OpenSSL names certificates to find them
DEFAULT_PORTS = {"http": 80, "https": 443}


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


def client_for(url: str, *, access: S3Access, limits: Limits, direct: bool = False) -> "Client":
    """Make a client for a checked URL, `direct` without any proxy; nothing is sent yet.

    Raises `BadSetting` where the CA bundle or the proxy cannot work.
    """
    origin, bundle = origin_of(url), certificates(access)
    proxy = None if direct else _proxy_of(origin)
    if origin.scheme == "https":
        tls = _trusting(access, bundle, _system_context())
        return Client(origin, limits=limits, tls=tls, proxy=proxy)
    if bundle is not None:  # not needed here, so a look at its first certificate is enough
        first = bundle.partition(END_OF_CERTIFICATE)[0] + END_OF_CERTIFICATE
        _trusting(access, first, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    return Client(origin, limits=limits, proxy=proxy)


def _proxy_of(origin: Origin) -> "Proxy | None":
    if not any(name.lower().endswith("_proxy") and name.lower() != "no_proxy" for name in os.environ):
        return None
    from runtime.artifacts.proxies import proxy_for  # rare, and a cold start would pay for it

    return proxy_for(origin.scheme, origin.host, os.environ)


def _system_context() -> ssl.SSLContext:
    """Trust the system's certificates.

    A folder whose names are hashes is looked into when a certificate is needed; to read them all takes 20 to 40 ms.
    """
    folder = ssl.get_default_verify_paths().capath
    hashed = folder is not None and any(HASHED.fullmatch(path.name) for path in Path(folder).iterdir())
    if "SSL_CERT_FILE" in os.environ or not hashed:
        return ssl.create_default_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(capath=folder)
    return context


def _trusting(access: S3Access, bundle: bytes | None, context: ssl.SSLContext) -> ssl.SSLContext:
    """Trust the bundle's certificates besides those that the context has."""
    try:
        if bundle is not None:
            context.load_verify_locations(cadata=bundle.decode("ascii", "replace"))
    except (ssl.SSLError, ValueError) as error:
        allowed = f"a PEM file with certificates ({words(error)})"
        raise BadSetting("AWS_CA_BUNDLE", value=str(access.ca_bundle), allowed=allowed) from error
    return context


def _is_plain(error: OSError | ValueError) -> bool:
    """Whether the server answered a TLS greeting with something else."""
    return isinstance(error, ssl.SSLError) and error.reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST"}


class Reply:
    """An answer whose body is still on its way."""

    def __init__(self, client: "Client", wire: "Wire", head: Head) -> None:
        self.head = head
        self._client = client
        self._wire: Wire | None = wire
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

    def __init__(
        self,
        origin: Origin,
        *,
        limits: Limits,
        tls: ssl.SSLContext | None = None,
        proxy: "Proxy | None" = None,
    ) -> None:
        """`tls` is for https; nothing is opened yet."""
        self.origin = origin
        self._limits = limits
        self._proxy = proxy
        self._tls = tls
        self._idle: list[Wire] = []

    def request(self, method: str, path: str, headers: Mapping[str, str], *, body: bytes = b"") -> bytes:
        """Write a request as this server, or the proxy in front of it, takes it. Raises ValueError, see `http1`."""
        if self._proxy is None or self._tls is not None:
            return request(method, path, headers, body=body)
        target = f"{self.origin.scheme}://{self.origin.authority}{path}"
        return request(method, target, {**headers, **self._proxy.headers}, body=body)

    def exchange(self, message: bytes) -> Reply:
        """Send a request and return its answer. Raises `BrokenExchangeError`."""
        until = time.monotonic() + self._limits.deadline
        if (reply := self._again(message, until)) is not None:
            return reply
        wire = self._connect(until)
        return Reply(self, wire, wire.ask(message))

    def put_back(self, wire: "Wire") -> None:
        """Keep a connection whose answer has been read whole."""
        self._idle.append(wire)

    def _again(self, message: bytes, until: float) -> Reply | None:
        """Ask over a kept connection; None where there is none, or where the server has closed it meanwhile."""
        try:
            wire = self._idle.pop()
            wire.until = until
            return Reply(self, wire, wire.ask(message))
        except IndexError:
            return None
        except BrokenExchangeError as error:
            if error.timed_out:
                raise
            return None

    def _connect(self, until: float) -> "Wire":
        timeout = min(CONNECT_TIMEOUT, self._limits.stall, self._limits.deadline)
        server = self._proxy or self.origin
        try:
            plain = socket.create_connection((server.host, server.port), timeout=timeout)
        except (OSError, UnicodeError) as error:
            through = " to the proxy" if self._proxy else ""
            raise BrokenExchangeError(f"no connection{through} ({words(error)})") from error
        if self._tls is None:
            return Wire(plain, stall=self._limits.stall, until=until)
        if self._proxy is not None:
            self._tunnel(plain, self._proxy, until)
        try:
            secure = self._tls.wrap_socket(plain, server_hostname=self.origin.host)
        except ssl.SSLCertVerificationError as error:
            plain.close()
            advice = "AWS_CA_BUNDLE may name a file with the right ones"
            raise BrokenExchangeError(f"its certificate is not trusted ({error.verify_message}); {advice}") from error
        except (OSError, ValueError) as error:
            plain.close()
            advice = "; use http://, if it does not speak TLS" if _is_plain(error) else ""
            raise BrokenExchangeError(f"no TLS connection ({words(error)}){advice}") from error
        return Wire(secure, stall=self._limits.stall, until=until)

    def _tunnel(self, plain: socket.socket, proxy: "Proxy", until: float) -> None:
        """Have the proxy pass all bytes on (CONNECT, RFC 9110, section 9.3.6)."""
        wire = Wire(plain.dup(), stall=self._limits.stall, until=until)
        authority = f"{self.origin.authority.removesuffix(f':{self.origin.port}')}:{self.origin.port}"
        try:
            head = wire.ask(request("CONNECT", authority, {"host": authority, **proxy.headers}))
        except BrokenExchangeError:
            plain.close()
            raise
        wire.close()
        if head.status != 200:  # noqa: PLR2004 - the number is the HTTP status
            plain.close()
            raise BrokenExchangeError(f"the proxy answered {head.status}")
