"""Content codings, and work in slices: what keeps a large body from holding the event loop.

Sources: RFC 9110, 8.4 (Content-Encoding) and 12.5.3 (Accept-Encoding); RFC 1950 and 1952 (zlib, gzip).
"""

import asyncio
import re
import zlib
from collections.abc import AsyncIterator, Generator, Iterator
from typing import Final, TypeAlias, TypeVar

from runtime.errors import InvalidInput, PayloadTooLarge, UnsupportedEncoding
from runtime.http.messages import Answer, Pieces, Request

T = TypeVar("T")
Slices: TypeAlias = Generator[None, None, T]  # yields between steps of some milliseconds, returns the result

_STEP: Final = 256 * 1024  # bytes that are inflated at once: a millisecond
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
    """Replace a compressed body by what it holds, at most `limit` bytes.

    Raises `UnsupportedEncoding`, `PayloadTooLarge`, and `InvalidInput` for a body that is not what it says.
    """
    coding = request.header(b"content-encoding")
    if coding is None or coding.lower() in {b"", b"identity"}:
        return
    request.body = await in_turns(inflated(request.body, coding.decode("latin-1").lower(), limit))


def inflated(body: bytes, coding: str, limit: int) -> Slices[bytes]:
    """What a body holds that is compressed by that coding; at most `limit` bytes. Raises as `inflate` does."""
    if coding not in {"gzip", "x-gzip", "deflate"}:
        raise UnsupportedEncoding(coding, ["gzip", "deflate", "identity"])
    # "deflate" is zlib's form; some clients send it bare, which the first byte tells: RFC 9110, 8.4.1.2.
    bare = coding == "deflate" and body[:1] and body[0] & 0x0F != zlib.DEFLATED
    window = -zlib.MAX_WBITS if bare else zlib.MAX_WBITS if coding == "deflate" else _GZIP
    pieces: list[bytes] = []
    size = 0
    while body:
        engine = zlib.decompressobj(window)
        while not engine.eof:
            try:
                piece = engine.decompress(body, _STEP)
            except zlib.error as error:
                raise InvalidInput(
                    "body", got=f"no {coding} ({error})", expected=f"a body compressed by {coding}"
                ) from None
            if not piece and not engine.unconsumed_tail and not engine.eof:
                raise InvalidInput("body", got=f"{coding} data that is cut off", expected="all of it")
            size += len(piece)
            if size > limit:
                raise PayloadTooLarge("inflated body", limit=limit, unit="bytes")
            pieces.append(piece)
            body = engine.unconsumed_tail
            yield
        body = engine.unused_data if window == _GZIP else b""  # gzip may have several members: RFC 1952, 2.2
    return b"".join(pieces)


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
