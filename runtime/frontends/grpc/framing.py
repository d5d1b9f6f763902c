"""gRPC's framing of one message: five bytes (a flag and a length), then the message. Pure.

A malformed frame is the client's error and gets INVALID_ARGUMENT. gRPC's libraries return INTERNAL, which would count
as a failure of this server. Sources: gRPC over HTTP2; gRPC, Compression.
"""

from collections.abc import Sequence
from typing import Final

from runtime.errors import InvalidInput, PayloadTooLarge, UnsupportedEncoding
from runtime.frontends.content import MIN_COMPRESSED_SIZE, Slices, gzipped, inflated
from runtime.http.messages import Answer, Buffer, Headers, Request, body_of
from runtime.protocols.grpc_errors import HEADERS

_OK: Final[Headers] = [(b"grpc-status", b"0")]
_CODINGS: Final = ("gzip", "deflate", "identity")
PREFIX: Final = 5  # bytes
SMALL: Final = 8 * 1024  # bytes of a message without tensors, which Python code decodes on the event loop
_UNITS: Final = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}  # seconds
_MAX_DIGITS: Final = 8  # of a timeout


def compressed(request: Request) -> bool:
    """Return whether the message is compressed; `message` does not decompress it."""
    return request.body[:1] == b"\1"


def message(request: Request) -> bytes:
    """Return the only message of a call, as received. Raises `InvalidInput` if the body is not exactly one frame."""
    _check(request.body)
    return request.body[PREFIX:]


def small_message(request: Request) -> bytes:
    """Return the only message of a call without tensors. Raises `InvalidInput`, and `PayloadTooLarge` above `SMALL`."""
    return bytes(_limited(view(request), SMALL))


def view(request: Request) -> memoryview:
    """Return the only message of a call without a copy. Raises as `message` does."""
    _check(request.body)
    return memoryview(request.body)[PREFIX:]


def _limited(content: memoryview, limit: int) -> memoryview:
    if len(content) > limit:
        raise PayloadTooLarge("message", limit=limit, unit="bytes", got=len(content))
    return content


def _check(body: bytes) -> None:
    if len(body) < PREFIX:
        raise InvalidInput("message", got=_bytes(len(body)), expected="a prefix of 5 bytes and one message")
    check_flag(body[0])
    expected, received = int.from_bytes(body[1:PREFIX], "big"), len(body) - PREFIX
    if received < expected:
        raise InvalidInput("message", got=f"{received} of {_bytes(expected)}", expected="the complete message")
    if received > expected:
        got = f"{_bytes(received - expected)} after the first message"
        raise InvalidInput("message", got=got, expected="one message: this method does not accept a stream")


def check_flag(flag: int) -> None:
    """Check the first byte of a frame. Raises `InvalidInput`."""
    if flag > 1:
        raise InvalidInput("message", got=f"flag {flag}", expected="flag 0, or 1 for a compressed message")


def inflated_message(request: Request, limit: int) -> Slices[bytes]:
    """Decompress the only message of a call in slices, to at most `limit` bytes. Raises as `inflated_view` does."""
    return bytes((yield from inflated_view(request, limit)))


def inflated_view(request: Request, limit: int) -> Slices[Buffer]:
    """Decompress like `inflated_message`, without copying an uncompressed message: a large copy takes 20 ms.

    Raises `InvalidInput`, `UnsupportedEncoding`, and `PayloadTooLarge` above the limit.
    """
    content = view(request)
    if not compressed(request):
        return _limited(content, limit)
    coding = (request.header(b"grpc-encoding") or b"identity").decode("latin-1").lower()
    if coding == "identity":
        raise InvalidInput("grpc-encoding", got="no coding for a compressed message", expected="gzip or deflate")
    if coding not in _CODINGS:
        raise UnsupportedEncoding(coding, _CODINGS, header="grpc-encoding")
    return (yield from inflated(request, coding, content, limit))


def answer(content: bytes | Sequence[Buffer]) -> Answer:
    """Return the response of a successful call: the message, in one or several pieces, and the trailers."""
    pieces = (content,) if isinstance(content, bytes) else content
    size = sum(map(len, pieces))
    return Answer(200, body_of((b"\0" + size.to_bytes(4, "big"), *pieces)), HEADERS.copy(), _OK)


def compress(request: Request, answer: Answer) -> None:
    """Compress the response if the request was compressed, the client accepts gzip, and the response gets smaller.

    Clients list gzip as accepted in every call, even if they do not need it, and compressing numbers saves little.
    """
    body = answer.body
    if not (compressed(request) and _accepts_gzip(request)):
        return
    if not isinstance(body, bytes):
        body = answer.body = b"".join(body)  # type: ignore[arg-type] # `answer` creates no asynchronous pieces
    if len(body) < MIN_COMPRESSED_SIZE:
        return
    content = gzipped(body[PREFIX:])
    if len(content) < len(body) - PREFIX:
        answer.body = b"\1" + len(content).to_bytes(4, "big") + content
        answer.headers.append((b"grpc-encoding", b"gzip"))


def end() -> Answer:
    """Return the response of a successful call without a message: only the trailers."""
    return Answer(200, b"", HEADERS.copy(), _OK)


def frame(content: bytes, *, gzip: bool) -> bytes:
    """Return the frame of a stream's message, compressed if `gzip` is set and the message gets smaller."""
    packed = gzipped(content) if gzip and len(content) >= MIN_COMPRESSED_SIZE else content
    if len(packed) < len(content):
        return b"\1" + len(packed).to_bytes(4, "big") + packed
    return b"\0" + len(content).to_bytes(4, "big") + content


def wants_gzip(request: Request) -> bool:
    """Return whether to compress the responses of a stream: the client compresses its messages and accepts gzip."""
    return request.header(b"grpc-encoding") not in {None, b"identity"} and _accepts_gzip(request)


def without_codings(request: Request) -> Request:
    """Return the head of a call without its accepted codings, so that the response is not compressed."""
    headers = [each for each in request.headers if each[0] != b"grpc-accept-encoding"]
    return Request(request.method, request.path, request.raw_path, request.query, headers, request.version)


def _accepts_gzip(request: Request) -> bool:
    accepted = request.header(b"grpc-accept-encoding") or b""
    return b"gzip" in (each.strip() for each in accepted.split(b","))


def timeout(value: bytes) -> float:
    """Return the seconds of a `grpc-timeout` header, such as `250m`. Raises `InvalidInput`."""
    digits, unit = value[:-1], _UNITS.get(value[-1:])
    if unit is None or not digits.isdigit() or len(digits) > _MAX_DIGITS:
        got = repr(value[:20].decode("latin-1"))
        raise InvalidInput("grpc-timeout", got=got, expected="at most 8 digits and one of H, M, S, m, u, n")
    return int(digits) * unit


def _bytes(count: int) -> str:
    return f"{count} byte" if count == 1 else f"{count} bytes"
