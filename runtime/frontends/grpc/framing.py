"""gRPC's framing of one message: five bytes (a flag and a length), then the message. Pure.

Sources: gRPC over HTTP2; gRPC, Compression. A frame that is malformed is the client's fault and gets INVALID_ARGUMENT;
gRPC's libraries say INTERNAL, which would count as a failure of this server.
"""

from collections.abc import Sequence
from typing import Final

from runtime.errors import InvalidInput, PayloadTooLarge, UnsupportedEncoding
from runtime.frontends.content import WORTH, Slices, gzipped, inflated
from runtime.http.messages import Answer, Buffer, Headers, Request, body_of
from runtime.protocols.grpc_errors import HEADERS

_OK: Final[Headers] = [(b"grpc-status", b"0")]
_CODINGS: Final = ("gzip", "deflate", "identity")
PREFIX: Final = 5  # bytes
SMALL: Final = 8 * 1024  # bytes of a message that holds names and no tensors: read on the event loop, by Python
_UNITS: Final = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}  # seconds
_DIGITS: Final = 8  # of a timeout


def compressed(request: Request) -> bool:
    """Whether the message is compressed, so that `message` does not read it."""
    return request.body[:1] == b"\1"


def message(request: Request) -> bytes:
    """The one message of a call, uncompressed or not. Raises `InvalidInput` where the body is not exactly that."""
    _check(request.body)
    return request.body[PREFIX:]


def small_message(request: Request) -> bytes:
    """As `message`, for a method whose messages hold no tensors. Raises `PayloadTooLarge` beyond `SMALL`."""
    return bytes(_limited(view(request), SMALL))


def view(request: Request) -> memoryview:
    """As `message`, without a copy."""
    _check(request.body)
    return memoryview(request.body)[PREFIX:]


def _limited(content: memoryview, limit: int) -> memoryview:
    if len(content) > limit:
        raise PayloadTooLarge("message", limit=limit, unit="bytes", got=len(content))
    return content


def _check(body: bytes) -> None:
    if len(body) < PREFIX:
        raise InvalidInput("message", got=_bytes(len(body)), expected="one message behind its prefix of 5 bytes")
    check_flag(body[0])
    announced, came = int.from_bytes(body[1:PREFIX], "big"), len(body) - PREFIX
    if came < announced:
        raise InvalidInput("message", got=f"{came} of {_bytes(announced)}", expected="all of the message")
    if came > announced:
        got = f"{_bytes(came - announced)} behind the first message"
        raise InvalidInput("message", got=got, expected="one message, as this method takes no stream")


def check_flag(flag: int) -> None:
    """Check the first byte of a frame. Raises `InvalidInput`."""
    if flag > 1:
        raise InvalidInput("message", got=f"flag {flag}", expected="flag 0, or 1 for a compressed message")


def inflated_message(request: Request, limit: int) -> Slices[bytes]:
    """The one message of a call, uncompressed in slices; at most `limit` bytes. Raises as `inflated_view` does."""
    return bytes((yield from inflated_view(request, limit)))


def inflated_view(request: Request, limit: int) -> Slices[Buffer]:
    """As `inflated_message`, without a copy of a message that came uncompressed: a large one takes 20 ms to copy.

    Raises `InvalidInput`, `UnsupportedEncoding`, and `PayloadTooLarge` beyond the limit.
    """
    content = view(request)
    if not compressed(request):
        return _limited(content, limit)
    coding = (request.header(b"grpc-encoding") or b"identity").decode("latin-1").lower()
    if coding == "identity":
        raise InvalidInput("grpc-encoding", got="none for a compressed message", expected="the name of its coding")
    if coding not in _CODINGS:
        raise UnsupportedEncoding(coding, _CODINGS, header="grpc-encoding")
    return (yield from inflated(request, coding, content, limit))


def answer(content: bytes | Sequence[Buffer]) -> Answer:
    """A call's answer: the message, in one piece or in several, and the trailers that say it is all."""
    pieces = (content,) if isinstance(content, bytes) else content
    size = sum(map(len, pieces))
    return Answer(200, body_of((b"\0" + size.to_bytes(4, "big"), *pieces)), HEADERS.copy(), _OK)


def compress(request: Request, answer: Answer) -> None:
    """Compress the answer to a compressed message, where the client takes gzip and the answer becomes smaller.

    Clients name gzip in every call, whether they want it or not, and numbers barely shrink: so the message decides.
    """
    body = answer.body
    if not (compressed(request) and _takes_gzip(request)):
        return
    if not isinstance(body, bytes):
        body = answer.body = b"".join(body)  # type: ignore[arg-type] # `answer` makes no asynchronous pieces
    if len(body) < WORTH:
        return
    content = gzipped(body[PREFIX:])
    if len(content) < len(body) - PREFIX:
        answer.body = b"\1" + len(content).to_bytes(4, "big") + content
        answer.headers.append((b"grpc-encoding", b"gzip"))


def end() -> Answer:
    """The answer to a call that has no message: the trailers alone say that it is all."""
    return Answer(200, b"", HEADERS.copy(), _OK)


def frame(content: bytes, *, gzip: bool) -> bytes:
    """A message of a stream in its frame, compressed where that is wanted and the message becomes smaller."""
    packed = gzipped(content) if gzip and len(content) >= WORTH else content
    if len(packed) < len(content):
        return b"\1" + len(packed).to_bytes(4, "big") + packed
    return b"\0" + len(content).to_bytes(4, "big") + content


def wants_gzip(request: Request) -> bool:
    """Whether the answers to a stream are compressed: where the client compresses its own messages and takes gzip."""
    return request.header(b"grpc-encoding") not in {None, b"identity"} and _takes_gzip(request)


def without_codings(request: Request) -> Request:
    """The head of a call that takes no compressed answer."""
    headers = [each for each in request.headers if each[0] != b"grpc-accept-encoding"]
    return Request(request.method, request.path, request.raw_path, request.query, headers, request.version)


def _takes_gzip(request: Request) -> bool:
    accepted = request.header(b"grpc-accept-encoding") or b""
    return b"gzip" in (each.strip() for each in accepted.split(b","))


def timeout(value: bytes) -> float:
    """The seconds of a `grpc-timeout` header, such as `250m`. Raises `InvalidInput`."""
    digits, unit = value[:-1], _UNITS.get(value[-1:])
    if unit is None or not digits.isdigit() or len(digits) > _DIGITS:
        got = repr(value[:20].decode("latin-1"))
        raise InvalidInput("grpc-timeout", got=got, expected="at most 8 digits and one of H, M, S, m, u, n")
    return int(digits) * unit


def _bytes(count: int) -> str:
    return f"{count} byte" if count == 1 else f"{count} bytes"
