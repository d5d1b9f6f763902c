"""The table that maps an error's code to its HTTP status, gRPC status, event delivery and fault. Pure.

Metrics count the code and the fault. Sources: RFC 9110; gRPC, Status codes and their use; Knative Eventing, Broker
specification, delivery retries.
"""

from asyncio import CancelledError
from enum import Enum
from http import HTTPStatus
from typing import Final, NamedTuple

from runtime.errors import MethodNotAllowed, ScalezeroError


class Grpc(Enum):
    """The gRPC status codes that the errors use."""

    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14


class Delivery(Enum):
    """Whether an event is delivered again after its inference failed."""

    REJECT = "reject"  # no: the same event fails again
    RETRY = "retry"


class Fault(Enum):
    """The side that caused an error, for metrics and rollouts."""

    NONE = "none"
    CLIENT = "client"
    OVERLOAD = "overload"  # neither side: there is more work than the process can do
    SERVER = "server"


class Row(NamedTuple):
    """The statuses of one code."""

    http: int
    grpc: Grpc
    delivery: Delivery
    fault: Fault


def _client(http: HTTPStatus, grpc: Grpc = Grpc.INVALID_ARGUMENT) -> Row:
    return Row(http.value, grpc, Delivery.REJECT, Fault.CLIENT)


def _overload(http: HTTPStatus, grpc: Grpc) -> Row:
    return Row(http.value, grpc, Delivery.RETRY, Fault.OVERLOAD)


def _server(http: HTTPStatus, grpc: Grpc = Grpc.UNAVAILABLE) -> Row:
    return Row(http.value, grpc, Delivery.RETRY, Fault.SERVER)


OK: Final = "ok"  # the code that counts successful requests
CLIENT_LEFT: Final = "client_left"
INTERNAL: Final = "internal"
_STATUS: Final = "http_"  # the prefix of the code that counts a function's response with an error status
_RETRIED: Final = frozenset({404, 408, 409, 429})  # the statuses below 500 after which an event is delivered again
_UNAVAILABLE: Final = _server(HTTPStatus.SERVICE_UNAVAILABLE)
TABLE: Final = {
    "invalid_input": _client(HTTPStatus.BAD_REQUEST),
    "rejected_by_model": _client(HTTPStatus.BAD_REQUEST),
    "signature_not_found": _client(HTTPStatus.BAD_REQUEST, Grpc.FAILED_PRECONDITION),
    "bad_request": _client(HTTPStatus.BAD_REQUEST),
    "bad_event": _client(HTTPStatus.BAD_REQUEST),
    # Of events. Knative delivers an event again after 404, so a missing object is 410.
    "bucket_not_allowed": _client(HTTPStatus.FORBIDDEN, Grpc.PERMISSION_DENIED),
    "object_missing": _client(HTTPStatus.GONE, Grpc.NOT_FOUND),
    "event_refused": _client(HTTPStatus.BAD_REQUEST),
    "event_deferred": _server(HTTPStatus.SERVICE_UNAVAILABLE),
    "model_not_found": _client(HTTPStatus.NOT_FOUND, Grpc.NOT_FOUND),
    "model_version_not_found": _client(HTTPStatus.NOT_FOUND, Grpc.NOT_FOUND),
    "version_conflict": _client(HTTPStatus.CONFLICT, Grpc.ALREADY_EXISTS),
    "path_not_found": _client(HTTPStatus.NOT_FOUND, Grpc.UNIMPLEMENTED),
    "method_not_found": _client(HTTPStatus.NOT_FOUND, Grpc.UNIMPLEMENTED),
    "service_not_found": _client(HTTPStatus.NOT_FOUND, Grpc.NOT_FOUND),
    "unsupported_operation": _client(HTTPStatus.NOT_FOUND, Grpc.UNIMPLEMENTED),
    "http2_required": _client(HTTPStatus.BAD_REQUEST),
    "invalid_key": _client(HTTPStatus.BAD_REQUEST, Grpc.PERMISSION_DENIED),  # TorchServe's gRPC status
    "model_api_disabled": _client(HTTPStatus.METHOD_NOT_ALLOWED, Grpc.PERMISSION_DENIED),
    "url_not_registrable": _client(HTTPStatus.NOT_FOUND, Grpc.NOT_FOUND),
    "registration_failed": _client(HTTPStatus.BAD_REQUEST),
    "default_version": _client(HTTPStatus.FORBIDDEN, Grpc.UNKNOWN),
    "method_not_allowed": _client(HTTPStatus.METHOD_NOT_ALLOWED, Grpc.UNIMPLEMENTED),
    "request_timeout": Row(408, Grpc.DEADLINE_EXCEEDED, Delivery.RETRY, Fault.CLIENT),  # the network may be faster then
    "payload_too_large": _client(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, Grpc.RESOURCE_EXHAUSTED),
    "headers_too_large": _client(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, Grpc.RESOURCE_EXHAUSTED),
    "unsupported_encoding": _client(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, Grpc.UNIMPLEMENTED),
    "unsupported_content_type": _client(HTTPStatus.UNSUPPORTED_MEDIA_TYPE),
    CLIENT_LEFT: Row(499, Grpc.CANCELLED, Delivery.RETRY, Fault.CLIENT),  # as nginx counts it; never sent
    "queue_full": _overload(HTTPStatus.TOO_MANY_REQUESTS, Grpc.RESOURCE_EXHAUSTED),
    "overloaded": _overload(HTTPStatus.SERVICE_UNAVAILABLE, Grpc.UNAVAILABLE),
    "shutting_down": _overload(HTTPStatus.SERVICE_UNAVAILABLE, Grpc.UNAVAILABLE),
    "deadline_exceeded": _overload(HTTPStatus.GATEWAY_TIMEOUT, Grpc.DEADLINE_EXCEEDED),
    "function_timed_out": _server(HTTPStatus.GATEWAY_TIMEOUT, Grpc.DEADLINE_EXCEEDED),
    "function_crashed": _server(HTTPStatus.INTERNAL_SERVER_ERROR, Grpc.INTERNAL),
    "function_answer_invalid": _server(HTTPStatus.INTERNAL_SERVER_ERROR, Grpc.INTERNAL),
    "guest_answer_invalid": _server(HTTPStatus.BAD_GATEWAY, Grpc.INTERNAL),  # as of every gateway
    "function_stuck": _UNAVAILABLE,
    "run_timeout": _server(HTTPStatus.GATEWAY_TIMEOUT, Grpc.DEADLINE_EXCEEDED),
    "model_failed": _server(HTTPStatus.INTERNAL_SERVER_ERROR, Grpc.INTERNAL),
    INTERNAL: _server(HTTPStatus.INTERNAL_SERVER_ERROR, Grpc.INTERNAL),
    "provider_unavailable": _UNAVAILABLE,
    "function_failed": _UNAVAILABLE,
    "model_unavailable": _UNAVAILABLE,
    "artifact_missing": _UNAVAILABLE,
    "artifact_changed": _UNAVAILABLE,
    "artifact_too_large": _UNAVAILABLE,
    "load_failed": _UNAVAILABLE,
    "digest_mismatch": _UNAVAILABLE,
    "access_denied": _UNAVAILABLE,
    "credentials_missing": _UNAVAILABLE,
    "store_unreachable": _UNAVAILABLE,
    "store_stalled": _UNAVAILABLE,
    "disk_full": _UNAVAILABLE,
    "invalid_model": _UNAVAILABLE,
    "bad_setting": _UNAVAILABLE,
}


def code_of(error: BaseException) -> str:
    """Return the code for the answer and the metrics; an exception outside of the table is a fault of the server."""
    if isinstance(error, ScalezeroError):
        return error.code if error.code in TABLE else INTERNAL
    return CLIENT_LEFT if isinstance(error, CancelledError) else INTERNAL


def code_of_status(status: int) -> str:
    """Return the code that counts a response of the author's function with this HTTP status."""
    return OK if status < HTTPStatus.BAD_REQUEST else f"{_STATUS}{status}"


def fault_of(code: str) -> Fault:
    """Return the side that caused a counted code; `Fault.NONE` for `OK`."""
    if code == OK:
        return Fault.NONE
    if code in TABLE:
        return TABLE[code].fault
    status = int(code.removeprefix(_STATUS))
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Fault.OVERLOAD
    return Fault.SERVER if status >= HTTPStatus.INTERNAL_SERVER_ERROR else Fault.CLIENT


def http_of(code: str) -> int:
    """Return the HTTP status of a counted code."""
    if code == OK:
        return HTTPStatus.OK.value
    return TABLE[code].http if code in TABLE else int(code.removeprefix(_STATUS))


def is_delivered_again(status: int) -> bool:
    """Return whether the sender of an event delivers it again after this HTTP status.

    Source: Knative Eventing, data plane specification, "Event Acknowledgement and Delivery Retry".
    """
    return status in _RETRIED or status >= HTTPStatus.INTERNAL_SERVER_ERROR


def event_http_of(code: str) -> int:
    """Return the HTTP status of an error for the sender of an event, which then acts as `delivery` states."""
    row = TABLE[code]
    is_wrong = row.delivery is Delivery.REJECT and is_delivered_again(row.http)
    return HTTPStatus.BAD_REQUEST.value if is_wrong else row.http


def error_document(code: str, message: str, details: object) -> dict[str, object]:
    """Return the error in the form of the predict API, which also applies to paths that no other protocol owns."""
    return {"error": {"code": code, "message": message, "details": details}}


def error_body(error: ScalezeroError) -> bytes:
    """Return the document as JSON, without `details` if an author's error has details that JSON cannot represent.

    An error whose code is not in the table becomes an internal error without details.
    """
    import orjson

    if error.code not in TABLE:
        return orjson.dumps(INTERNAL_DOCUMENT)
    try:
        return orjson.dumps(error_document(error.code, error.message, error.details), default=str)
    except TypeError:  # half a surrogate pair, or a list that contains itself
        sendable = error.message.encode(errors="backslashreplace").decode()
        return orjson.dumps(error_document(error.code, sendable, {}))


def error_headers(error: ScalezeroError) -> dict[str, str]:
    """Return the headers that the error's HTTP status requires. Source: RFC 9110, sections 10.2.1 and 10.2.3."""
    retry_after: int | None = getattr(error, "retry_after", None)
    if retry_after is not None:
        return {"retry-after": str(retry_after)}
    if isinstance(error, MethodNotAllowed):
        return {"allow": ", ".join(error.allowed)}
    return {}


INTERNAL_DOCUMENT: Final = error_document(INTERNAL, "internal error; the server's log has the details", {})
