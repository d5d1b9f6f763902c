"""Errors of the management API in TorchServe's form: status, exception, text and gRPC code. Pure.

`faults` handles the errors of both APIs, and uses this module first. Over gRPC, the line after the text has the full
name of the exception.
Sources: pytorch/serve, http/HttpRequestHandler.java (statuses), grpcimpl/ManagementImpl.java (codes).
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final, NamedTuple, TypeAlias

from runtime.errors import ModelUnavailable, RegistrationFailed, ScalezeroError, UrlNotRegistrable
from runtime.status import TABLE, Grpc, code_of

Details: TypeAlias = Mapping[str, object]
ErrorFields: TypeAlias = tuple[int, str, str]  # as `faults.error_fields` returns them
_PACKAGES: Final = {
    "org.pytorch.serve.archive.model": (
        "InvalidKeyException",
        "InvalidModelException",
        "ModelException",
        "ModelNotFoundException",
        "ModelVersionNotFoundException",
    ),
    "org.pytorch.serve.archive": ("DownloadArchiveException",),
}
_ELSEWHERE: Final = "org.pytorch.serve.http"
_FULL_NAMES: Final = {name: f"{package}.{name}" for package, names in _PACKAGES.items() for name in names}


class _Row(NamedTuple):
    http: HTTPStatus
    grpc: Grpc
    kind: str  # the exception's simple name
    text: Callable[[Details], str] | None = None  # None: the error's own message


_REFUSALS: Final = {
    "relative": "Relative path is not allowed in url: {url}",
    "not found": "Model not found at: {url}",
    "no store": "Model store has not been configured.",
    "not allowed": "Given URL {url} does not match any allowed URL(s)",
}


def _refusal(details: Details) -> str:
    return _REFUSALS[str(details["reason"])].format(url=details["url"])


def _conflict(details: Details) -> str:
    return f"Model version {details['version']} is already registered for model {details['model']}"


def _default(details: Details) -> str:
    return f"Cannot remove default version for model {details['model']}"


_NOT_FOUND: Final = "ModelNotFoundException"
_ROWS: Final = {
    "url_not_registrable": _Row(HTTPStatus.NOT_FOUND, Grpc.NOT_FOUND, _NOT_FOUND, _refusal),
    "invalid_key": _Row(HTTPStatus.BAD_REQUEST, Grpc.PERMISSION_DENIED, "InvalidKeyException"),
    "model_api_disabled": _Row(HTTPStatus.METHOD_NOT_ALLOWED, Grpc.PERMISSION_DENIED, "MethodNotAllowedException"),
    # TorchServe does not catch these two, so that its gRPC code is UNKNOWN, without a text.
    "version_conflict": _Row(HTTPStatus.CONFLICT, Grpc.UNKNOWN, "ConflictStatusException", _conflict),
    "default_version": _Row(HTTPStatus.FORBIDDEN, Grpc.UNKNOWN, "InvalidModelVersionException", _default),
}
_INVALID: Final = _Row(HTTPStatus.BAD_REQUEST, Grpc.INVALID_ARGUMENT, "InvalidModelException")
_DOWNLOAD: Final = _Row(HTTPStatus.BAD_REQUEST, Grpc.INVALID_ARGUMENT, "DownloadArchiveException")
_CAUSES: Final = {  # the code of the error that a model's load raised during its registration
    "artifact_missing": _Row(
        HTTPStatus.NOT_FOUND, Grpc.NOT_FOUND, _NOT_FOUND, lambda details: f"Model not found at: {details['url']}"
    ),
    **dict.fromkeys(("invalid_model", "digest_mismatch", "artifact_too_large"), _INVALID),
    **dict.fromkeys(
        ("access_denied", "artifact_changed", "credentials_missing", "store_stalled", "store_unreachable"), _DOWNLOAD
    ),
}
_NO_URL: Final = _Row(
    HTTPStatus.BAD_REQUEST, Grpc.INVALID_ARGUMENT, "BadRequestException", lambda _: "Parameter url is required."
)


def known(fault: ScalezeroError) -> ErrorFields | None:
    """Return the HTTP status, the exception and the text of an error; None if `faults` defines them."""
    row = _row(fault)
    return None if row is None else (row.http.value, row.kind, row.text(fault.details) if row.text else fault.message)


def grpc_code(fault: ScalezeroError) -> Grpc:
    """Return the gRPC code of an error."""
    row = _row(fault)
    return TABLE[code_of(fault)].grpc if row is None else row.grpc


def full_name(kind: str) -> str:
    """Return the full name of an exception."""
    return _FULL_NAMES.get(kind, f"{_ELSEWHERE}.{kind}")


def _row(fault: ScalezeroError) -> _Row | None:
    if isinstance(fault, RegistrationFailed):
        return _CAUSES.get(code_of(fault.cause)) or _unavailable(fault.cause)
    if isinstance(fault, UrlNotRegistrable) and fault.details["reason"] == "missing":
        return _NO_URL
    return _ROWS.get(code_of(fault))


def _unavailable(cause: ModelUnavailable) -> _Row:
    """Return the row of an error of the server, such as a full disk."""
    row = TABLE[code_of(cause)]
    return _Row(HTTPStatus(row.http), row.grpc, "InternalServerException")
