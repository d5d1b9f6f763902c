"""A request with a cached head is answered exactly as one that the parser reads."""

import asyncio
from operator import itemgetter
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import ScalezeroError
from runtime.http.exchange import Exchange
from runtime.http.http11 import Http11
from runtime.http.http11_head import CachedHead
from runtime.http.limits import Limits
from runtime.http.messages import Answer, Request
from runtime.http.server import Server
from tests.runtime.http.asgi_server import CHUNKED, ONE, request
from tests.runtime.http.recorder import Recorder

SHAPES = [
    ONE,
    CHUNKED,
    request(method="GET"),
    request(method="GET", version="1.0"),
    request(method="HEAD", extra="connection: keep-alive\r\n"),
    request(extra="connection: close\r\n"),
    request(extra="content-length: 3\r\n") + b"ab",
    request(body=b"0123456789"),
    request(extra="ce-id: 1\r\nx-other: 1\r\nce-type: t\r\n"),
    request(extra="Ce-Id: 2\r\nx-other: 1\r\nce-type: t\r\nCE-TIME: 2026-04-05T17:31:00Z\r\n"),
    request(extra="ce-id: 3\r\nce-id: 4\r\nx-other: 1\r\nce-type: t\r\n"),
    request(extra="ce-id: a value with spaces \r\nce-type: t\r\n"),
    request(extra="ce-id:5\r\nce-type: t\r\n"),
    request(extra="ce-id: 6\r\n folded\r\nce-type: t\r\n"),
    request(extra="x-request-id: r1\r\ntraceparent: 00-1-2-01\r\n"),
    request(extra="X-Request-Id: r2\r\ntraceparent: 00-3-4-01\r\ntracestate: a=b\r\n"),
    request(extra='x-request-id: "r%20 3"\r\ntraceparent: 00-3-4-01\r\n'),
    request(extra="x-request-id: r4\r\nce-id: 7%41\r\nce-type: t\r\n"),
    b"GET / HTTP/1.1\r\n\r\n",
    b"\r\n" + ONE,
    b"nonsense\r\n\r\n",
]


class Echo:
    """Records each request, and answers with its body."""

    def __init__(self) -> None:
        self.seen: list[object] = []

    def admit(self, request: Request) -> bool:  # noqa: ARG002 - the signature of an application
        """Admit every request, none as a stream."""
        return False

    def begin(self, exchange: Exchange) -> None:
        asked = exchange.request
        headers = sorted(asked.headers, key=itemgetter(0))  # the order of different headers has no meaning
        first = [asked.header(name) for name, _ in headers]
        self.seen.append((asked.method, asked.path, asked.query, headers, first, asked.version, asked.body))
        exchange.respond(Answer(200, asked.body, []))

    def refuse(self, fault: ScalezeroError, _: Request | None) -> Answer:
        return Answer(400, fault.message.encode(), [])


def outcome(pieces: list[bytes], *, cache: dict[bytes, CachedHead] | None) -> tuple[list[object], bytes, int]:
    """Return the requests, the bytes of the responses, and the used budget. `cache` None: heads are never cached."""

    async def serve() -> tuple[list[object], bytes, int]:
        application, transport = Echo(), Recorder()
        server = Server(cast("Any", application), Limits(body=1000, buffered=1000))
        server.date_line = b""
        server.head_cache = DisabledCache() if cache is None else cache
        connection = Http11(server)
        connection.connection_made(transport)
        for piece in pieces:
            connection.data_received(piece)
            await asyncio.sleep(0)
        connection.connection_lost(None)
        return application.seen, transport.written, server.budget.used

    return asyncio.run(serve())


class DisabledCache(dict[bytes, CachedHead]):
    """A cache that stores nothing."""

    def __setitem__(self, key: bytes, value: CachedHead) -> None:
        pass


WARM: dict[bytes, CachedHead] = {}
for shape in SHAPES:
    outcome([shape], cache=WARM)


def test_heads_are_cached_after_their_first_request() -> None:
    assert len(WARM) >= 3
    assert all(each.request.memo == {} for each in WARM.values())


@given(st.lists(st.sampled_from(SHAPES), min_size=1, max_size=5), st.booleans(), st.data())
def test_a_cached_head_changes_nothing(shapes: list[bytes], whole: bool, data: st.DataObject) -> None:  # noqa: FBT001
    raw = b"".join(shapes)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(raw) - 1), max_size=6)))
    pieces = shapes if whole else [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    plain = outcome(pieces, cache=None)
    assert outcome(pieces, cache=dict(WARM)) == plain
    assert plain[2] == 0
