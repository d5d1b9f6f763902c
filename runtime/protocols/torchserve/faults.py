"""Errors in TorchServe's form, and the headers of every answer. Pure.

    {"code": 404, "type": "ModelNotFoundException", "message": "Model not found: m"}

`type` is the name of TorchServe's exception. The types, the statuses and the messages about unknown models are
TorchServe's own, because clients compare them. All other messages are scalezero's, with the received value and the
allowed one.
Source: TorchServe 0.12, org.pytorch.serve.http.HttpRequestHandler and NettyUtils.
"""

import uuid
from http import HTTPStatus
from typing import Final

import orjson

from runtime.errors import (
    MethodNotAllowed,
    ScalezeroError,
    UnknownModel,
    UnknownPath,
    UnknownVersion,
    UnsupportedOperation,
)
from runtime.http.messages import JSON, Answer, Headers
from runtime.protocols.grpc_errors import grpc_error_answer
from runtime.protocols.refusals import extra_headers
from runtime.protocols.torchserve import management_faults
from runtime.status import TABLE, code_of

REQUEST_ID: Final = b"x-request-id"
_UNCACHED: Final[Headers] = [
    (b"pragma", b"no-cache"),
    (b"cache-control", b"no-cache; no-store, must-revalidate, private"),
    (b"expires", b"Thu, 01 Jan 1970 00:00:00 UTC"),
]
_TYPES: Final = {
    HTTPStatus.NOT_FOUND: "ResourceNotFoundException",
    HTTPStatus.METHOD_NOT_ALLOWED: "MethodNotAllowedException",
    HTTPStatus.REQUEST_TIMEOUT: "RequestTimeoutException",
    HTTPStatus.CONFLICT: "ConflictStatusException",
    HTTPStatus.TOO_MANY_REQUESTS: "ServiceUnavailableException",
    HTTPStatus.SERVICE_UNAVAILABLE: "ServiceUnavailableException",
}
_NO_PATH: Final = "Requested resource is not found, please refer to API document."
_NO_METHOD: Final = "Requested method is not allowed, please refer to API document."
_FAILED: Final = "Prediction failed"


def headers() -> Headers:
    """Return the headers of every answer. If the client sent a request identifier, it replaces this one."""
    return [(REQUEST_ID, str(uuid.uuid4()).encode()), *_UNCACHED]


def refuse(fault: ScalezeroError) -> Answer:
    """Return the answer for an error."""
    status, kind, message = error_fields(fault)
    document = {"code": status, "type": kind, "message": message}
    return Answer(status, orjson.dumps(document), [JSON, *headers(), *extra_headers(fault)])


def refuse_call(fault: ScalezeroError) -> Answer:
    """Return the answer to a gRPC call that failed, with the code of `runtime.status` and TorchServe's message."""
    return grpc_error_answer(fault, error_fields(fault)[2])


def error_fields(fault: ScalezeroError) -> tuple[int, str, str]:
    """Return the HTTP status, the type and the message of an error."""
    known = management_faults.known(fault)
    if known is not None:
        return known
    status = TABLE[code_of(fault)].http
    if isinstance(fault, UnknownModel):
        return (status, *_unknown(fault))
    if isinstance(fault, UnknownPath):
        return status, _TYPES[HTTPStatus.NOT_FOUND], _NO_PATH
    if isinstance(fault, MethodNotAllowed):
        return status, _TYPES[HTTPStatus.METHOD_NOT_ALLOWED], _NO_METHOD
    if isinstance(fault, UnsupportedOperation):  # in TorchServe, a handler without explanations fails with 503
        return HTTPStatus.SERVICE_UNAVAILABLE.value, "InternalServerException", f"{_FAILED}: {fault.message}"
    message = fault.message.encode(errors="backslashreplace").decode()
    return status, _TYPES.get(HTTPStatus(status), _otherwise(status)), message


def _unknown(fault: UnknownModel) -> tuple[str, str]:
    model, version = fault.details["model"], fault.details.get("version")
    if isinstance(fault, UnknownVersion):
        return "ModelVersionNotFoundException", f"Model version: {version} does not exist for model: {model}"
    return "ModelNotFoundException", f"Model not found: {model}"


def _otherwise(status: int) -> str:
    return "InternalServerException" if status >= HTTPStatus.INTERNAL_SERVER_ERROR else "BadRequestException"
