"""The lean HTTP/1.1 is uvicorn's, to the byte: the same conversations, held over real sockets with both."""

import asyncio
import re
from typing import TypeAlias

import pytest
from uvicorn.protocols.http.auto_zttp_impl import AutoZttpProtocol

from runtime.frontends.http11 import Http
from tests.frontends.http11_server import CHUNKED, ONE, PIECE, Application, request, running

SILENCE = 1.0  # seconds after which a server that says nothing more is taken to wait for us
Heard: TypeAlias = tuple[bytes, bool]  # what it said, and whether it has closed the connection

# What a client sends, each piece a while after the last; the name says what is tried.
CONVERSATIONS: dict[str, list[bytes]] = {
    "get": [request(method="GET")],
    "post": [ONE],
    "escaped path and query": [request("/caf%C3%A9%20%2Fx?a=%20b&c", method="GET")],
    "headers in any case, twice": [request(extra="X-One: 1\r\nx-one: 2\r\nX-Empty:\r\n")],
    "content-length 0": [request(extra="content-length: 0\r\n")],
    "kept alive": [ONE, request(body=b"two"), request(method="GET")],
    "pipelined": [ONE + request(body=b"two") + request(method="GET") + CHUNKED + ONE],
    "pipelined behind a slow one": [request("/slow", b"x") + ONE, request(body=b"two")],
    "pipelined in odd pieces": [ONE + ONE[:20], ONE[20:] + CHUNKED[:-7], CHUNKED[-7:] + ONE],
    "body after the head": [ONE[:-3], b"one"],
    "body in three pieces": [ONE[:-3], b"o", b"n", b"e"],
    "chunked": [CHUNKED],
    "chunked in pieces": [CHUNKED[:-20], CHUNKED[-20:-12], CHUNKED[-12:]],
    "chunks for others than echo": [CHUNKED.replace(b"/echo", b"/unread"), ONE],
    "expect": [request(body=b"one", extra="expect: 100-continue\r\n")[:-3], b"one"],
    "expect, but not waited for": [request(body=b"one", extra="expect: 100-continue\r\n"), ONE],
    "expect, not read": [request("/unread", b"one", extra="expect: 100-continue\r\n")[:-3], b"one", ONE],
    "early answer": [request("/unread", PIECE)[:-9], PIECE[-9:], ONE],
    "so large that reading pauses": [request("/slow", PIECE * 32), ONE],
    "upgrade": [request(extra="connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n")],
    "upgrade to h2c": [request(body=b"one", extra="connection: upgrade, http2-settings\r\nupgrade: h2c\r\n")],
    "head": [request(method="HEAD"), ONE],
    "http 1.0": [request(method="GET", version="1.0")],
    "http 1.0 kept alive": [request(method="GET", version="1.0", extra="connection: keep-alive\r\n"), ONE],
    "close": [request(body=b"one", extra="connection: close\r\n")],
    "close, with more behind": [request(body=b"one", extra="connection: close\r\n") + ONE],
    "options": [request("*", method="OPTIONS")],
    "unknown method": [request(method="BREW")],
    "64 KiB - 1": [request(body=PIECE[1:])],
    "64 KiB": [request(body=PIECE)],
    "64 KiB + 1": [request(body=PIECE + b"x")],
    "1 MiB": [request(body=PIECE * 16)],
    "long header": [request(extra=f"x-long: {'y' * 8000}\r\n")],
    "longer header": [request(extra=f"x-long: {'y' * 300_000}\r\n")],
    "many headers": [request(extra="".join(f"x-{i}: {i}\r\n" for i in range(90)))],
    "too many headers": [request(extra="".join(f"x-{i}: {i}\r\n" for i in range(2000)))],
    "garbage": [b"\x16\x03\x01 garbage\r\n\r\n"],
    "garbage behind a request": [ONE + b"garbage\r\n\r\n"],
    "garbage after an answer": [ONE, b"garbage\r\n\r\n"],
    "bad chunk": [CHUNKED.replace(b"3;x=y", b"zz")],
    "bad chunk later": [CHUNKED[:-20], b"zz\r\n"],
    "bad length": [request(extra="content-length: x\r\n")],
    "two lengths": [request(extra="content-length: 1\r\ncontent-length: 2\r\n") + b"ab"],
    "length and chunks": [request(extra="content-length: 5\r\ntransfer-encoding: chunked\r\n") + b"0\r\n\r\n"],
    "no host": [b"GET /echo HTTP/1.1\r\n\r\n"],
    "http 2 preface cut short": [b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"],
    **{
        f"the application: {way}": [request(f"/{way}", b"one"), ONE]
        for way in vars(Application)
        if not way.startswith("_") and not way.endswith("left") and way != "status"
    },
    **{f"head of {way}": [request(f"/{way}", method="HEAD"), ONE] for way in ("empty", "stream", "uncounted", "fails")},
    **{f"status {code}": [request(f"/status/{code}"), ONE] for code in (200, 204, 205, 304, 404, 500, 599, 600, 999)},
}


async def converse(port: int, pieces: list[bytes]) -> Heard:
    """All that the server says, without its dates, and whether it has closed the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    heard, closed = b"", False
    try:
        for piece in pieces:
            writer.write(piece)
            await asyncio.sleep(0.05)
        while True:
            got = await asyncio.wait_for(reader.read(1 << 20), SILENCE)
            if not got:
                closed = True
                break
            heard += got
    except TimeoutError:
        pass
    except ConnectionError:
        closed = True
    writer.transport.abort()
    return re.sub(rb"date: [^\r]*\r\n", b"", heard), closed


@pytest.fixture(scope="module")
def conversations() -> dict[str, tuple[Heard, Heard]]:
    """Every conversation as held with us and with uvicorn's own protocol."""

    async def hold(port: int) -> list[Heard]:
        return await asyncio.gather(*(converse(port, pieces) for pieces in CONVERSATIONS.values()))

    with running(Http) as ours, running(AutoZttpProtocol) as uvicorns:
        with_us, with_uvicorn = (asyncio.run(hold(server.port)) for server in (ours, uvicorns))
    return dict(zip(CONVERSATIONS, zip(with_us, with_uvicorn, strict=True), strict=True))


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_the_answer_is_uvicorns_to_the_byte(conversations: dict[str, tuple[Heard, Heard]], name: str) -> None:
    with_us, with_uvicorn = conversations[name]
    assert with_us == with_uvicorn
    assert with_us[0].startswith(b"HTTP/1.1 ") or with_us[1]
