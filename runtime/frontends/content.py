"""Content codings, and work in slices, so that a large body does not block the event loop.

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

_STEP: Final = 256 * 1024  # bytes that are inflated or compressed in one step: about a millisecond
_INPUT: Final = 64 * 1024  # compressed bytes that are passed to zlib in one step
_MAX_MEMBERS: Final = 4096  # gzip members of one body; parallel compressors write one for each 64 KiB or more
_GZIP: Final = 16 + zlib.MAX_WBITS  # zlib's window size that selects the gzip format
MIN_COMPRESSED_SIZE: Final = 1400  # bytes: a smaller response fits into one packet uncompressed
_ZERO_WEIGHT: Final = re.compile(rb"q\s*=\s*0(\.0*)?")  # "not acceptable": RFC 9110, 12.4.2
_LEVEL: Final = 1  # of compression; higher levels take twice the time and save a few percent of the size


async def run_slices(slices: Slices[T]) -> T:
    """Run the slices, let the event loop run other tasks between them, and return the result."""
    while True:
        try:
            next(slices)
        except StopIteration as end:
            result: T = end.value
            return result
        await asyncio.sleep(0)


async def inflate(request: Request, limit: int) -> None:
    """Decompress the request's body in place, to at most `limit` bytes, which count in the process' memory budget.

    Raises `UnsupportedEncoding`, `PayloadTooLarge`, `Overloaded`, and `InvalidInput` for a body that does not have the
    coding of its Content-Encoding.
    """
    coding = request.header(b"content-encoding")
    if coding is None or coding.lower() in {b"", b"identity"} or not request.body:
        return
    request.body = await run_slices(inflated(request, coding.decode("latin-1").lower(), request.body, limit))


def inflated(request: Request, coding: str, body: Buffer, limit: int) -> Slices[bytes]:
    """Return the decompressed content of a body, or of a message in it, in slices. Raises as `inflate` does."""
    if coding not in {"gzip", "x-gzip", "deflate"}:
        raise UnsupportedEncoding(coding, ["gzip", "deflate", "identity"])
    inflated_body: Partial = b""
    size = 0
    for piece in _pieces(body, coding):
        size += len(piece)
        if size > limit:
            raise PayloadTooLarge("decompressed body", limit=limit, unit="bytes")
        request.reserve(len(piece))
        inflated_body = extended(inflated_body, piece)
        yield
    return whole(inflated_body)


def _pieces(body: Buffer, coding: str) -> Iterator[bytes]:
    """Decompress in steps of little input, because zlib copies the input that a step does not consume."""
    # "deflate" is zlib's format. Some clients omit zlib's header (RFC 9110, 8.4.1.2). The first byte shows whether it
    # is present.
    bare = coding == "deflate" and body[0] & 0x0F != zlib.DEFLATED
    window = -zlib.MAX_WBITS if bare else zlib.MAX_WBITS if coding == "deflate" else _GZIP
    engine = zlib.decompressobj(window)
    members = 1
    for start in range(0, len(body), _INPUT):
        data = body[start : start + _INPUT]
        while data:
            if engine.eof:
                if window != _GZIP:
                    return
                members += 1  # a gzip body may have several members: RFC 1952, 2.2
                if members > _MAX_MEMBERS:
                    raise InvalidInput(
                        "body",
                        got=f"more than {_MAX_MEMBERS} gzip members",
                        expected=f"at most {_MAX_MEMBERS}, preferably one",
                    )
                engine = zlib.decompressobj(window)
            yield _step(engine, data, coding)
            data = engine.unused_data if engine.eof else engine.unconsumed_tail
    while not engine.eof:
        piece = _step(engine, b"", coding)  # the output that did not fit into the last step
        if not piece:
            raise InvalidInput("body", got=f"truncated {coding} data", expected="the complete data")
        yield piece


def _step(engine: "zlib._Decompress", data: Buffer, coding: str) -> bytes:
    try:
        return engine.decompress(data, _STEP)
    except zlib.error as error:
        raise InvalidInput(
            "body", got=f"invalid {coding} data ({error})", expected=f"a body compressed with {coding}"
        ) from None


def compress(request: Request, answer: Answer) -> None:
    """Compress a response's body if the client accepts gzip and the body is not too small (`MIN_COMPRESSED_SIZE`).

    A response with trailers is gRPC's, which has its own compression.
    """
    body = answer.body
    if answer.trailers is not None:
        return
    if isinstance(body, bytes) and len(body) < MIN_COMPRESSED_SIZE:
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
    """Return the body in gzip, compressed for speed instead of size."""
    return zlib.compress(body, _LEVEL, _GZIP)


def _wants_gzip(accepted: bytes | None) -> bool:
    for each in (accepted or b"").lower().split(b","):
        name, _, weight = each.partition(b";")
        if name.strip() in {b"gzip", b"x-gzip", b"*"}:
            return not _ZERO_WEIGHT.fullmatch(weight.strip())
    return False


async def _compressed(body: bytes | Pieces) -> AsyncIterator[bytes]:
    engine = zlib.compressobj(_LEVEL, wbits=_GZIP)
    if isinstance(body, AsyncIterator):
        async for piece in body:
            yield engine.compress(piece)
    else:
        for piece in _split(body) if isinstance(body, bytes) else body:
            yield engine.compress(piece)
            await asyncio.sleep(0)
    yield engine.flush()


def _split(body: bytes) -> Iterator[bytes]:
    return (body[start : start + _STEP] for start in range(0, len(body), _STEP))
