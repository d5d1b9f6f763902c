"""HTTP answers that tell of errors, by the table in `runtime.status`."""

from asyncio import CancelledError
from typing import Final

import orjson

from runtime.errors import ScalezeroError
from runtime.frontends.http import JSON, Disconnected, Response
from runtime.predictor import CallerGone
from runtime.status import HTTP, error_body, error_document, error_headers

__all__ = ["HTTP", "error_document", "error_response", "internal_error", "of"]

_CALLER_LEFT: Final = 499  # as nginx counts them; never sent


def of(error: BaseException) -> int:
    """The status that an exception is counted under."""
    if isinstance(error, ScalezeroError):
        return HTTP[error.code]
    return _CALLER_LEFT if isinstance(error, (CallerGone, Disconnected, CancelledError)) else HTTP["internal"]


def error_response(error: ScalezeroError) -> Response:
    """The answer that tells the caller of the error, with the headers that its status asks for."""
    headers = [(name.encode(), value.encode()) for name, value in error_headers(error).items()]
    return Response(HTTP[error.code], error_body(error), [JSON, *headers])


def internal_error() -> Response:
    """The answer to a bug of ours: it says no more than that, the log says all."""
    document = error_document("internal", "this is a fault of the server; its log has the details", {})
    return Response(HTTP["internal"], orjson.dumps(document))
