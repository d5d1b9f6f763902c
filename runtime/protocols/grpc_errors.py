"""Errors as gRPC answers: Trailers-Only, with rich details. Pure.

    grpc-status               the code that `runtime.status` maps the error to
    grpc-message              the error's message, percent-encoded
    grpc-status-details-bin   google.rpc.Status: ErrorInfo (the error's own code), BadRequest (the field), RetryInfo

Sources: gRPC over HTTP2, "Responses"; google.rpc, "error_details.proto".
"""

import base64
from typing import Final

from runtime.errors import ScalezeroError
from runtime.http.messages import Answer, Headers
from runtime.status import TABLE, Grpc, code_of

DOMAIN: Final = "scalezero"
_MAX_TEXT_BYTES: Final = 800  # clients accept 8 KiB of trailers, which may contain a text four times
_PRINTABLE: Final = frozenset(range(0x20, 0x7F)) - {ord("%")}
_ENCODED: Final = tuple(bytes([byte]) if byte in _PRINTABLE else b"%%%02X" % byte for byte in range(256))
_TRAILERS: Final = frozenset({b"grpc-status", b"grpc-message", b"grpc-status-details-bin"})
HEADERS: Final[Headers] = [  # of every answer to a gRPC call
    (b"content-type", b"application/grpc"),
    (b"grpc-accept-encoding", b"identity,deflate,gzip"),
]


def grpc_error_answer(error: ScalezeroError, text: str | None = None, *, status: Grpc | None = None) -> Answer:
    """Return the gRPC answer for an error: only headers, with HTTP status 200.

    `text` and `status` replace the error's message and code in a protocol that has its own.
    """
    return _answer(error, (status or TABLE[code_of(error)].grpc).value, _short(text or error.message))


def _answer(error: ScalezeroError, status: int, message: str) -> Answer:
    headers = [
        *HEADERS,
        (b"grpc-status", b"%d" % status),
        (b"grpc-message", percent_encoded(message)),
        (b"grpc-status-details-bin", base64.b64encode(_details(error, status, message)).rstrip(b"=")),
    ]
    return Answer(200, b"", headers)


def trailers_of(answer: Answer) -> Headers:
    """Return the trailers that report the same error after the messages of a stream."""
    return answer.trailers or [each for each in answer.headers if each[0] in _TRAILERS]


def percent_encoded(text: str) -> bytes:
    """Return the text as a header: UTF-8, percent-encoded except for printable ASCII other than the percent sign."""
    return b"".join(_ENCODED[byte] for byte in text.encode())


def _details(error: ScalezeroError, status: int, message: str) -> bytes:
    """Return the serialized google.rpc.Status."""
    from runtime.protocols.protos import google_rpc_pb2 as rpc

    whole = rpc.Status(code=status, message=message)
    whole.details.add().Pack(rpc.ErrorInfo(reason=code_of(error).upper(), domain=DOMAIN))
    field = error.details.get("field")
    if field is not None:
        violation = rpc.BadRequest.FieldViolation(field=_short(str(field)), description=message)
        whole.details.add().Pack(rpc.BadRequest(field_violations=[violation]))
    seconds: int | None = getattr(error, "retry_after", None)
    if seconds is not None:
        retry = rpc.RetryInfo()
        retry.retry_delay.seconds = seconds
        whole.details.add().Pack(retry)
    return whole.SerializeToString()


def _short(text: str) -> str:
    """Return the text with surrogates escaped, cut to `_MAX_TEXT_BYTES` of UTF-8."""
    encoded = text.encode(errors="backslashreplace")
    if len(encoded) <= _MAX_TEXT_BYTES:
        return encoded.decode()
    return encoded[:_MAX_TEXT_BYTES].decode(errors="ignore") + "..."
