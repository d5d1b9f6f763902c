"""The one table from an error's code to the status that each protocol gives it, and the JSON form of an error.

It stands beneath the frontends and the author's side, as both answer callers.
"""

from http import HTTPStatus
from typing import Final

import orjson

from runtime.errors import MethodNotAllowed, QueueFull, ScalezeroError

HTTP: Final = {
    "invalid_input": HTTPStatus.BAD_REQUEST,
    "rejected_by_model": HTTPStatus.BAD_REQUEST,
    "model_not_found": HTTPStatus.NOT_FOUND,
    "path_not_found": HTTPStatus.NOT_FOUND,
    "method_not_allowed": HTTPStatus.METHOD_NOT_ALLOWED,
    "payload_too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "queue_full": HTTPStatus.TOO_MANY_REQUESTS,
    "deadline_exceeded": HTTPStatus.GATEWAY_TIMEOUT,
    "shutting_down": HTTPStatus.SERVICE_UNAVAILABLE,
    "function_failed": HTTPStatus.SERVICE_UNAVAILABLE,
    "function_stuck": HTTPStatus.SERVICE_UNAVAILABLE,
    "function_crashed": HTTPStatus.INTERNAL_SERVER_ERROR,
    "function_answer_invalid": HTTPStatus.INTERNAL_SERVER_ERROR,
    "function_timed_out": HTTPStatus.GATEWAY_TIMEOUT,
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


def error_document(code: str, message: str, details: object) -> dict[str, object]:
    """The JSON form of every error that leaves this server."""
    return {"error": {"code": code, "message": message, "details": details}}


def error_body(error: ScalezeroError) -> bytes:
    """The document as JSON; without `details` where an author's error has some that JSON does not hold."""
    try:
        return orjson.dumps(error_document(error.code, error.message, error.details), default=str)
    except TypeError:  # half a surrogate pair, a list that holds itself
        sendable = error.message.encode(errors="backslashreplace").decode()
        return orjson.dumps(error_document(error.code, sendable, {}))


def error_headers(error: ScalezeroError) -> dict[str, str]:
    """The headers that the error's HTTP status asks for. Source: RFC 9110, sections 10.2.1 and 10.2.3."""
    if isinstance(error, QueueFull):
        return {"retry-after": str(error.retry_after)}
    if isinstance(error, MethodNotAllowed):
        return {"allow": ", ".join(error.allowed)}
    return {}
