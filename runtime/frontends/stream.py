"""One request over HTTP/2, and its answer: what the application sees as `scope`, `receive` and `send`.

Source: the ASGI specification, HTTP & WebSocket 2.3, with the extension `http.response.trailers`.
"""

import asyncio
import logging
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

import ngh2

from runtime.frontends.http import Headers, Message, Scope

if TYPE_CHECKING:
    from runtime.frontends.http2 import Http2

_log = logging.getLogger("uvicorn.error")
_HIGH_WATER: Final = 64 * 1024  # bytes of an answer that wait for its reader before the application does
_OF_CONNECTIONS: Final = frozenset(
    {b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"}
)
_BODILESS: Final = frozenset({204, 304})
_EXTENSIONS: Final[dict[str, dict[object, object]]] = {"http.response.trailers": {}}
_FAILED: Final = b"Internal Server Error"


class Stream:
    """The request on one stream. `answered`: its last byte is queued; `left`: nobody waits for one any more."""

    __slots__ = (
        "_body",
        "_complete",
        "_connection",
        "_expected",
        "_id",
        "_news",
        "_scope",
        "_start",
        "_started",
        "_told",
        "_trailers",
        "answered",
        "left",
    )

    def __init__(self, connection: "Http2", event: ngh2.RequestReceived) -> None:
        """Raise `UnicodeDecodeError` for a path that is not ASCII."""
        self._connection = connection
        self._id = event.stream_id
        self._scope = _scope(connection, event)
        self._body = b""  # what came and the application has not taken
        self._complete = event.end_stream  # whether all of the body came
        self._told = False  # whether the application knows that
        self._start: Message | None = None  # the answer's head, until its body comes
        self._started = False
        self._expected: int | None = None  # bytes of the answer still to come, where its head counts them
        self._trailers: Headers | None = None  # None: the answer has none
        self._news: asyncio.Event | None = None  # made by who waits
        self.answered = False
        self.left = False

    async def run(self) -> None:
        """Let the application answer; whatever it does instead is answered or broken off here."""
        try:
            result = await self._connection.app(self._scope, self.receive, self.send)
        except BaseException as error:  # noqa: BLE001 - as uvicorn does it: the last line of defence, logged
            _log.error("Exception in ASGI application\n", exc_info=error)
            self._fail()
        else:
            if result is not None:
                _log.error("ASGI callable should return None, but returned '%s'.", result)
                self._fail()
            elif not (self.answered or self.left):
                _log.error("ASGI callable returned without completing its response.")
                self._fail()

    async def receive(self) -> Message:
        """The body as it comes; after that, wait until the caller has left or is answered."""
        while not (self.left or self.answered):
            if self._body or (self._complete and not self._told):
                body, self._body = self._body, b""
                self._told = self._complete
                if body:
                    self._connection.conn.acknowledge_received_data(len(body), self._id)
                    if not self._complete:
                        self._connection.flush()
                return {"type": "http.request", "body": body, "more_body": not self._complete}
            await self._wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Queue a part of the answer, head and first piece together; `RuntimeError` for a message out of order."""
        if self.left:
            return
        kind = message["type"]
        if kind == "http.response.start" and self._start is None:
            self._start = message
            self._trailers = [] if message.get("trailers") else None
        elif kind == "http.response.body" and self._start and not self.answered:
            self._send_body(message)
            await self._pace()
        elif kind == "http.response.trailers" and self._trailers is not None and self._started and not self.answered:
            self._trailers += [(name.lower(), value) for name, value in message["headers"]]
            if not message.get("more_trailers"):
                self._end()
        else:
            text = f"Unexpected ASGI message '{kind}'"
            raise RuntimeError(text)

    def feed(self, data: bytes, *, end: bool) -> None:
        """Take a part of the body."""
        self._body += data
        self._complete = end
        self.tell()

    def closed(self) -> None:
        """The stream is over, for whatever reason."""
        self.left = True
        self.tell()

    def tell(self) -> None:
        """Wake whoever waits for anything to change."""
        if self._news is not None:
            self._news.set()
            self._news = None

    async def _wait(self) -> None:
        if self._news is None:
            self._news = asyncio.Event()
        await self._news.wait()

    async def _pace(self) -> None:
        """Wait for the socket, and for the reader of this answer."""
        connection = self._connection
        while not (self.left or connection.writing.is_set()):
            await connection.writing.wait()
        while not self.left and connection.conn.queued_body_size(self._id) > _HIGH_WATER:
            await self._wait()

    def _send_body(self, message: Message) -> None:
        """Queue a piece and, before the first one, the head."""
        body, more = message.get("body", b""), message.get("more_body", False)
        head = None if self._started else self._head()
        if self._expected is not None:
            if len(body) > self._expected:
                raise RuntimeError("Response content longer than Content-Length")
            self._expected -= len(body)
            if self._expected and not more:
                raise RuntimeError("Response content shorter than Content-Length")
        conn = self._connection.conn
        ends = not more and self._trailers is None
        if self._bodiless:
            body = b""
        if head is not None:
            self._started = True
            conn.send_response(self._id, head, end_stream=ends and not body)
        if body or (ends and head is None):
            conn.send_data(self._id, body, end_stream=ends)
        if ends:
            self._end()
        else:
            self._connection.flush()

    def _head(self) -> Headers:
        start = self._start
        assert start is not None  # noqa: S101 - a body comes after it
        fields = [(b":status", b"%d" % start["status"]), *self._connection.server_state.default_headers]
        for name, value in start.get("headers", ()):
            lower = name.lower()
            if lower == b"content-length" and not self._bodiless:
                self._expected = int(value)
            if b"\n" in value or b"\r" in value or b"\0" in value:
                text = f"Invalid value of header {name!r}"
                raise RuntimeError(text)
            if lower not in _OF_CONNECTIONS:
                fields.append((lower, value))
        return fields

    @property
    def _bodiless(self) -> bool:
        """Whether the answer has no body by its kind: RFC 9110, 6.4.1."""
        start = self._start
        return self._scope["method"] == "HEAD" or (start is not None and start["status"] in _BODILESS)

    def _end(self) -> None:
        """Queue the end of the answer, and let go of a request that was not read to its end."""
        connection, conn = self._connection, self._connection.conn
        if self._trailers:
            conn.send_trailers(self._id, self._trailers)
        elif self._trailers is not None:
            conn.end_stream(self._id)
        self.answered = True
        if self._body:  # which nobody will ask for
            conn.acknowledge_received_data(len(self._body), self._id)
            self._body = b""
        connection.flush()
        if not self._complete and not self.left and not conn.queued_body_size(self._id):
            conn.reset_stream(self._id, ngh2.ErrorCode.NO_ERROR)  # RFC 9113, 8.1: the caller may stop sending
            connection.flush()
        self.tell()

    def _fail(self) -> None:
        """Answer 500 where nothing of an answer was sent, else break it off."""
        if self.left or self.answered:
            return
        if self._started:
            self._connection.conn.reset_stream(self._id, ngh2.ErrorCode.INTERNAL_ERROR)
            self._connection.flush()
            return
        self._start = {"type": "http.response.start", "status": 500, "headers": [(b"content-type", b"text/plain")]}
        self._trailers = self._expected = None
        self._send_body({"type": "http.response.body", "body": _FAILED, "more_body": False})


def _scope(connection: "Http2", event: ngh2.RequestReceived) -> Scope:
    """What ASGI tells of a request. Raises `UnicodeDecodeError`."""
    pseudo: dict[bytes, bytes] = {}
    headers: Headers = []
    cookies: list[bytes] = []
    for name, value in event.headers:
        if name[:1] == b":":
            pseudo[name] = value
        elif name == b"cookie":
            cookies.append(value)
        else:
            headers.append((name, value))
    if cookies:  # which may come apart: RFC 9113, 8.2.3
        headers.append((b"cookie", b"; ".join(cookies)))
    if b":authority" in pseudo:
        headers.append((b"host", pseudo[b":authority"]))
    raw, _, query = pseudo.get(b":path", b"").partition(b"?")
    path, root = raw.decode("ascii"), connection.root_path
    return {
        "type": "http",
        "asgi": {"version": connection.asgi_version, "spec_version": "2.3"},
        "http_version": "2",
        "server": connection.server,
        "client": connection.client,
        "scheme": "http",
        "method": pseudo[b":method"].decode("ascii"),
        "root_path": root,
        "path": root + (unquote(path) if "%" in path else path),
        "raw_path": root.encode("ascii") + raw,
        "query_string": query,
        "headers": headers,
        "state": connection.app_state.copy(),
        "extensions": _EXTENSIONS,
    }
