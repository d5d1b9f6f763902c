"""Content codings, and work in slices: what keeps a large body from holding the event loop.

Sources: RFC 9110, 8.4 (Content-Encoding) and 12.5.3 (Accept-Encoding); RFC 1950 and 1952 (zlib, gzip).
"""

import asyncio
import re
import zlib
from collections.abc import AsyncIterator, Generator, Iterator
from typing import Final, TypeAlias, TypeVar

from runtime.errors import InvalidInput, PayloadTooLarge, UnsupportedEncoding
from runtime.http.body import Partial, extended, whole
from runtime.http.messages import Answer, Buffer, Pieces, Request

T = TypeVar("T")
Slices: TypeAlias = Generator[None, None, T]  # yields between steps of some milliseconds, returns the result

_STEP: Final = 256 * 1024  # bytes that are inflated at once: a millisecond
_FED: Final = 64 * 1024  # bytes that zlib gets at once
_MEMBERS: Final = 4096  # of one gzip body; parallel compressors make one for each 64 KiB or more
_GZIP: Final = 16 + zlib.MAX_WBITS  # zlib's sign for a gzip header
WORTH: Final = 1400  # bytes: a smaller answer fits into one packet anyhow
_NEVER: Final = re.compile(rb"q\s*=\s*0(\.0*)?")  # a weight of zero: RFC 9110, 12.4.2
_LEVEL: Final = 1  # of compression: the next ones cost twice the time for a few per cent of size


async def in_turns(slices: Slices[T]) -> T:
    """Do the work, and let others have their turn after each slice."""
    while True:
        try:
            next(slices)
        except StopIteration as end:
            result: T = end.value
            return result
        await asyncio.sleep(0)


async def inflate(request: Request, limit: int) -> None:
    """Replace a compressed body by what it holds, at most `limit` bytes, counted against the process' budget.

    Raises `UnsupportedEncoding`, `PayloadTooLarge`, `Overloaded`, and `InvalidInput` for a body that is not what its
    header says.
    """
    coding = request.header(b"content-encoding")
    if coding is None or coding.lower() in {b"", b"identity"} or not request.body:
        return
    request.body = await in_turns(inflated(request, coding.decode("latin-1").lower(), request.body, limit))


def inflated(request: Request, coding: str, body: Buffer, limit: int) -> Slices[bytes]:
    """What a body, or a message in it, holds that is compressed by that coding. Raises as `inflate` does."""
    if coding not in {"gzip", "x-gzip", "deflate"}:
        raise UnsupportedEncoding(coding, ["gzip", "deflate", "identity"])
    inflated_body: Partial = b""
    size = 0
    for piece in _pieces(body, coding):
        size += len(piece)
        if size > limit:
            raise PayloadTooLarge("inflated body", limit=limit, unit="bytes")
        request.hold(len(piece))
        inflated_body = extended(inflated_body, piece)
        yield
    return whole(inflated_body)


def _pieces(body: Buffer, coding: str) -> Iterator[bytes]:
    """Inflate in steps. zlib copies the input that it leaves, so it gets little at a time: the work stays linear."""
    # "deflate" is zlib's format. Some clients send it without zlib's header, which the first byte shows: RFC 9110,
    # 8.4.1.2.
    bare = coding == "deflate" and body[0] & 0x0F != zlib.DEFLATED
    window = -zlib.MAX_WBITS if bare else zlib.MAX_WBITS if coding == "deflate" else _GZIP
    engine = zlib.decompressobj(window)
    members = 1
    for start in range(0, len(body), _FED):
        fed = body[start : start + _FED]
        while fed:
            if engine.eof:
                if window != _GZIP:
                    return
                members += 1  # gzip may have several: RFC 1952, 2.2
                if members > _MEMBERS:
                    raise InvalidInput(
                        "body", got=f"more than {_MEMBERS} gzip members", expected=f"at most {_MEMBERS}, best one"
                    )
                engine = zlib.decompressobj(window)
            yield _step(engine, fed, coding)
            fed = engine.unused_data if engine.eof else engine.unconsumed_tail
    while not engine.eof:
        piece = _step(engine, b"", coding)  # what the last step had no room for
        if not piece:
            raise InvalidInput("body", got=f"{coding} data that is cut off", expected="all of it")
        yield piece


def _step(engine: "zlib._Decompress", fed: Buffer, coding: str) -> bytes:
    try:
        return engine.decompress(fed, _STEP)
    except zlib.error as error:
        raise InvalidInput("body", got=f"no {coding} ({error})", expected=f"a body compressed by {coding}") from None


def compress(request: Request, answer: Answer) -> None:
    """Compress an answer's body where the client asks for it and it is worth it.

    An answer with trailers has a framing, and a compression, of its own: gRPC's.
    """
    body = answer.body
    if answer.trailers is not None:
        return
    if isinstance(body, bytes) and len(body) < WORTH:
        return
    if not _wants_gzip(request.header(b"accept-encoding")) or any(
        name == b"content-encoding" for name, _ in answer.headers
    ):
        return
    answer.headers += [(b"content-encoding", b"gzip"), (b"vary", b"accept-encoding")]
    if isinstance(body, bytes) and len(body) <= _STEP:
        answer.body = gzipped(body)
    else:
        answer.body = _compressed(body)


def gzipped(body: bytes) -> bytes:
    """The body in gzip, quickly rather than small."""
    return zlib.compress(body, _LEVEL, _GZIP)


def _wants_gzip(accepted: bytes | None) -> bool:
    for each in (accepted or b"").lower().split(b","):
        name, _, weight = each.partition(b";")
        if name.strip() in {b"gzip", b"x-gzip", b"*"}:
            return not _NEVER.fullmatch(weight.strip())
    return False


async def _compressed(body: bytes | Pieces) -> AsyncIterator[bytes]:
    engine = zlib.compressobj(_LEVEL, wbits=_GZIP)
    if isinstance(body, AsyncIterator):
        async for piece in body:
            yield engine.compress(piece)
    else:
        for piece in _cut(body) if isinstance(body, bytes) else body:
            yield engine.compress(piece)
            await asyncio.sleep(0)
    yield engine.flush()


def _cut(body: bytes) -> Iterator[bytes]:
    return (body[start : start + _STEP] for start in range(0, len(body), _STEP))
