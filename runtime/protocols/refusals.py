"""Errors as HTTP answers: the headers that every protocol adds, and the JSON form of the predict API."""

from typing import Final

import orjson

from runtime.errors import MethodNotAllowed, ScalezeroError
from runtime.http.messages import JSON, Answer, Headers
from runtime.status import INTERNAL, TABLE, code_of, error_document

_INTERNAL: Final = error_document(INTERNAL, "this is a fault of the server; its log has the details", {})


def error_answer(error: ScalezeroError) -> Answer:
    """The answer that tells the client of the error, with the headers that its status asks for."""
    code = code_of(error)
    document = error_document(error.code, error.message, error.details) if code == error.code else _INTERNAL
    return Answer(TABLE[code].http, orjson.dumps(document, default=str), [JSON, *extra_headers(error)])


def internal_error() -> Answer:
    """The answer to a bug of ours: it says no more than that, the log says all."""
    return Answer(TABLE[INTERNAL].http, orjson.dumps(_INTERNAL))


def extra_headers(error: ScalezeroError) -> Headers:
    """What an error adds to its answer's headers in every protocol."""
    retry_after: int | None = getattr(error, "retry_after", None)
    if retry_after is not None:
        return [(b"retry-after", b"%d" % retry_after)]
    if isinstance(error, MethodNotAllowed):
        return [(b"allow", ", ".join(error.allowed).encode())]
    return []
