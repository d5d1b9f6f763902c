"""A head that is known is answered exactly as one that the parser reads."""

import asyncio
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import ScalezeroError
from runtime.http.exchange import Exchange
from runtime.http.http11 import Http11
from runtime.http.http11_head import KnownHead
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
    b"GET / HTTP/1.1\r\n\r\n",
    b"\r\n" + ONE,
    b"nonsense\r\n\r\n",
]


class Echo:
    """Keeps what it sees, and answers with it."""

    def __init__(self) -> None:
        self.seen: list[object] = []

    def admit(self, request: Request) -> bool:  # noqa: ARG002 - the seam's form
        """Take every request, none as a stream."""
        return False

    def begin(self, exchange: Exchange) -> None:
        asked = exchange.request
        self.seen.append((asked.method, asked.path, asked.query, asked.headers, asked.version, asked.body))
        exchange.respond(Answer(200, asked.body, []))

    def refuse(self, fault: ScalezeroError, _: Request | None) -> Answer:
        return Answer(400, fault.message.encode(), [])


def outcome(pieces: list[bytes], *, known: dict[bytes, KnownHead] | None) -> tuple[list[object], bytes, int]:
    """What the application sees and the client reads; `known` None: no head is ever known."""

    async def serve() -> tuple[list[object], bytes, int]:
        application, transport = Echo(), Recorder()
        server = Server(cast("Any", application), Limits(body=1000, buffered=1000))
        server.date_line = b""
        server.heads = Forgetful() if known is None else known
        connection = Http11(server)
        connection.connection_made(transport)
        for piece in pieces:
            connection.data_received(piece)
            await asyncio.sleep(0)
        connection.connection_lost(None)
        return application.seen, transport.written, server.budget.used

    return asyncio.run(serve())


class Forgetful(dict[bytes, KnownHead]):
    """Remembers nothing."""

    def __setitem__(self, key: bytes, value: KnownHead) -> None:
        pass


WARM: dict[bytes, KnownHead] = {}
for shape in SHAPES:
    outcome([shape], known=WARM)


def test_heads_are_known_after_their_first_request() -> None:
    assert len(WARM) >= 3


@given(st.lists(st.sampled_from(SHAPES), min_size=1, max_size=5), st.booleans(), st.data())
def test_a_known_head_changes_nothing(shapes: list[bytes], whole: bool, data: st.DataObject) -> None:  # noqa: FBT001
    raw = b"".join(shapes)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(raw) - 1), max_size=6)))
    pieces = shapes if whole else [raw[a:b] for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
    plain = outcome(pieces, known=None)
    assert outcome(pieces, known=dict(WARM)) == plain
    assert plain[2] == 0
