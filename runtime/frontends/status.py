"""The one table from an error's code to its HTTP status."""

from asyncio import CancelledError
from http import HTTPStatus
from typing import Final

import orjson

from runtime.errors import MethodNotAllowed, QueueFull, ScalezeroError
from runtime.frontends.gone import CallerGone
from runtime.frontends.http import JSON, Disconnected, Headers, Response

HTTP: Final = {
    "invalid_input": HTTPStatus.BAD_REQUEST,
    "rejected_by_model": HTTPStatus.BAD_REQUEST,
    "model_not_found": HTTPStatus.NOT_FOUND,
    "path_not_found": HTTPStatus.NOT_FOUND,
    "method_not_allowed": HTTPStatus.METHOD_NOT_ALLOWED,
    "payload_too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "queue_full": HTTPStatus.TOO_MANY_REQUESTS,
    "deadline_exceeded": HTTPStatus.GATEWAY_TIMEOUT,
    "run_timeout": HTTPStatus.GATEWAY_TIMEOUT,
    "shutting_down": HTTPStatus.SERVICE_UNAVAILABLE,
    "function_failed": HTTPStatus.SERVICE_UNAVAILABLE,
    "model_failed": HTTPStatus.INTERNAL_SERVER_ERROR,
    "model_unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
    "artifact_missing": HTTPStatus.SERVICE_UNAVAILABLE,
    "artifact_changed": HTTPStatus.SERVICE_UNAVAILABLE,
    "digest_mismatch": HTTPStatus.SERVICE_UNAVAILABLE,
    "access_denied": HTTPStatus.SERVICE_UNAVAILABLE,
    "credentials_missing": HTTPStatus.SERVICE_UNAVAILABLE,
    "store_unreachable": HTTPStatus.SERVICE_UNAVAILABLE,
    "store_stalled": HTTPStatus.SERVICE_UNAVAILABLE,
    "disk_full": HTTPStatus.SERVICE_UNAVAILABLE,
    "invalid_model": HTTPStatus.SERVICE_UNAVAILABLE,
    "bad_setting": HTTPStatus.SERVICE_UNAVAILABLE,
    "internal": HTTPStatus.INTERNAL_SERVER_ERROR,
}


_CALLER_LEFT: Final = 499  # as nginx counts them; never sent


def of(error: BaseException) -> int:
    """The status that an exception is counted under."""
    if isinstance(error, ScalezeroError):
        return HTTP[error.code]
    return _CALLER_LEFT if isinstance(error, (CallerGone, Disconnected, CancelledError)) else HTTP["internal"]


def error_document(code: str, message: str, details: object) -> dict[str, object]:
    """The JSON form of every error that leaves this server."""
    return {"error": {"code": code, "message": message, "details": details}}


def error_response(error: ScalezeroError) -> Response:
    """The answer that tells the caller of the error, with the headers that its status asks for."""
    document = error_document(error.code, error.message, error.details)
    return Response(HTTP[error.code], orjson.dumps(document, default=str), [JSON, *_extra_headers(error)])


def internal_error() -> Response:
    """The answer to a bug of ours: it says no more than that, the log says all."""
    document = error_document("internal", "this is a fault of the server; its log has the details", {})
    return Response(HTTP["internal"], orjson.dumps(document))


def _extra_headers(error: ScalezeroError) -> Headers:
    if isinstance(error, QueueFull):
        return [(b"retry-after", b"%d" % error.retry_after)]
    if isinstance(error, MethodNotAllowed):
        return [(b"allow", ", ".join(error.allowed).encode())]
    return []
