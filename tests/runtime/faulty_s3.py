"""An HTTP proxy in front of a real S3, which injects the faults of a test into the responses.

It forwards each request unchanged, including the Host header because SigV4 signs it, records the requests, and applies
the first fault that matches. A fault with `times` applies to that many requests, a fault without it until `heal()`.

    with FaultyS3(s3.endpoint_url) as faulty:
        faulty.add(Fault(reset_after=1000, times=2))
        ...
        assert len(faulty.downloads("models/m.onnx")) == 3
"""

import contextlib
import http.client
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from tests.waiting import DEADLINE

PIECE = 16 * 1024  # bytes copied at once: small, so that a fault is applied at the requested byte
ERROR = "<Error><Code>{}</Code><Message>injected by the test</Message></Error>"
HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """A fault of a request whose path ends with `path`. The first field of the second group that is set applies."""

    path: str = ""  # the end of the path; "" matches every request
    times: int | None = None  # None: until heal()
    skip: int = 0  # number of matching requests without the fault, before the first with it
    etag: str | None = None  # replaces the ETag of the response
    before: Callable[[], None] | None = (
        None  # called before the request is forwarded, for example to replace the object
    )

    status: int | None = None  # respond with this status and do not forward the request
    code: str = "InternalError"  # the S3 error code in the body of this response
    body: str | None = None  # the complete body of this response
    headers: Mapping[str, str] = field(default_factory=dict)  # of this response, in addition to its type and length
    reset_after: int | None = None  # send this many bytes of the body, then a TCP reset
    close_after: int | None = None  # send this many bytes of the body, then close the connection orderly
    stall_after: int | None = None  # send this many bytes of the body, then nothing until the server stops; -1: no head
    bytes_per_second: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A request and its response."""

    method: str
    path: str
    headers: Mapping[str, str]  # lower-case names
    status: int  # of the response; 0: no response was sent
    sent: int  # bytes of the response body


@dataclass(slots=True)
class _Armed:
    fault: Fault
    seen: int = 0


@dataclass(slots=True)
class _State:
    upstream: str
    armed: list[_Armed] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    active: int = 0  # requests in progress, without those that a fault stalls
    lock: threading.Condition = field(default_factory=threading.Condition)
    closing: threading.Event = field(default_factory=threading.Event)

    def fault_for(self, path: str) -> Fault | None:
        """Return the fault for this request, and count the request."""
        with self.lock:
            for armed in self.armed:
                if not path.endswith(armed.fault.path):
                    continue
                armed.seen += 1
                past = armed.seen - armed.fault.skip
                if past > 0 and (armed.fault.times is None or past <= armed.fault.times):
                    return armed.fault
        return None


class FaultyS3:
    """The server, on a port (0: a free one) of the loopback interface or of another address."""

    def __init__(
        self, upstream: str, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self._scheme = "http" if tls is None else "https"
        self._state = _State(urlsplit(upstream).netloc)
        handler = type("Handler", (_Handler,), {"state": self._state})
        self._server = _Server((host, port), handler)
        self._server.daemon_threads = True
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def endpoint_url(self) -> str:
        """The URL of the server."""
        return "{}://{}:{}".format(self._scheme, *self._server.server_address[:2])

    def add(self, fault: Fault) -> None:
        """Add a fault after the existing ones."""
        with self._state.lock:
            self._state.armed.append(_Armed(fault))

    def heal(self) -> None:
        """Remove all faults."""
        with self._state.lock:
            self._state.armed.clear()

    @property
    def has_faults(self) -> bool:
        """Whether a fault was added and not removed."""
        with self._state.lock:
            return bool(self._state.armed)

    @property
    def seen(self) -> list[Seen]:
        """All requests, in the order in which they ended.

        A client may receive the last byte before the request is recorded, so this waits for the requests in progress.
        """
        with self._state.lock:
            self._state.lock.wait_for(lambda: self._state.active == 0, timeout=DEADLINE)
            return list(self._state.seen)

    def downloads(self, path: str) -> list[Seen]:
        """Return the requests whose response contained bytes of the object at this path."""
        return [seen for seen in self.seen if seen.path.endswith(path) and seen.status in {200, 206} and seen.sent]

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._state.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Print nothing, because clients disconnect on purpose in many tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    state: _State

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def do_GET(self) -> None:
        with self.state.lock:
            self.state.active += 1
        self._recorded = False
        fault = self.state.fault_for(self.path.partition("?")[0])
        status, sent = 0, [0]
        # A fault may break the connection here too. The bytes sent before it are recorded.
        with contextlib.suppress(OSError, http.client.HTTPException):
            if fault is not None and fault.before is not None:
                fault.before()
            if fault is not None and fault.stall_after == -1:
                self._silence(0, 0)
            elif fault is not None and fault.status is not None:
                status = fault.status
                self._answer(fault.status, fault.body or ERROR.format(fault.code), fault.headers)
            else:
                status = self._forward(fault or Fault(), sent)
        self._record(status, sent[0])

    do_HEAD = do_PUT = do_POST = do_DELETE = do_GET

    def _record(self, status: int, sent: int) -> None:
        if self._recorded:
            return
        self._recorded = True
        headers = {name.lower(): value for name, value in self.headers.items()}
        with self.state.lock:
            self.state.seen.append(
                Seen(method=self.command, path=self.path.partition("?")[0], headers=headers, status=status, sent=sent)
            )
            self.state.active -= 1
            self.state.lock.notify_all()

    def _answer(self, status: int, text: str, headers: Mapping[str, str]) -> None:
        self._body()
        body = text.encode()
        self.send_response(status)
        self.send_header("content-type", "application/xml")
        self.send_header("content-length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else body)

    def _body(self) -> bytes:
        """Read the body of the request. boto3 sends chunked bodies over TLS."""
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length", 0)))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _forward(self, fault: Fault, sent: list[int]) -> int:
        with contextlib.closing(http.client.HTTPConnection(self.state.upstream, timeout=DEADLINE)) as upstream:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in {"transfer-encoding", "content-length"}:
                    upstream.putheader(name, value)
            body = self._body()
            upstream.putheader("content-length", str(len(body)))
            upstream.endheaders(body or None)
            response = upstream.getresponse()
            self._answer_head(response, fault)
            self._answer_body(response, fault, sent)
            if fault.stall_after is not None:
                self._silence(response.status, sent[0])
            return response.status

    def _answer_head(self, response: http.client.HTTPResponse, fault: Fault) -> None:
        self.send_response_only(response.status, response.reason)
        for name, value in response.getheaders():
            if name.lower() not in HOP_BY_HOP:
                self.send_header(name, fault.etag if fault.etag and name.lower() == "etag" else value)
        if response.status not in {204, 304}:
            self.send_header("content-length", response.headers.get("content-length", "0"))
        self.end_headers()

    def _answer_body(self, response: http.client.HTTPResponse, fault: Fault, sent: list[int]) -> None:
        limits = (fault.reset_after, fault.close_after, fault.stall_after)
        limit = next((limit for limit in limits if limit is not None), None)
        while limit is None or sent[0] < limit:
            piece = response.read(PIECE if limit is None else min(PIECE, limit - sent[0]))
            if not piece:
                return
            self.wfile.write(piece)
            sent[0] += len(piece)
            if fault.bytes_per_second:
                time.sleep(len(piece) / fault.bytes_per_second)
        if fault.reset_after is not None:
            # With a linger time of 0 s, the close sends a reset, as a failing node or load balancer does.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def _silence(self, status: int, sent: int) -> None:
        self._record(status, sent)
        self.state.closing.wait()
        self.close_connection = True
