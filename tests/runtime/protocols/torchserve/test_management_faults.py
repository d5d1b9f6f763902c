"""Every error with TorchServe's text, status and exception."""

import pytest

from runtime.errors import (
    AccessDenied,
    ArtifactMissing,
    DefaultVersion,
    DiskFull,
    InvalidInput,
    InvalidKey,
    InvalidModel,
    MethodNotAllowed,
    ModelApiDisabled,
    ModelFailed,
    ModelUnavailable,
    QueueFull,
    RegistrationFailed,
    ScalezeroError,
    UnknownModel,
    UnknownPath,
    UnknownVersion,
    UrlNotRegistrable,
    VersionConflict,
)
from runtime.protocols.torchserve.faults import error_fields
from runtime.protocols.torchserve.management_faults import grpc_code
from runtime.protocols.torchserve.management_grpc import refuse
from runtime.status import Grpc

MISSING = ArtifactMissing("/store/m.mar", "there is no such file")


@pytest.mark.parametrize(
    ("error", "status", "kind", "text"),
    [
        (UrlNotRegistrable("", "missing"), 400, "BadRequestException", "Parameter url is required."),
        (InvalidInput("a", got="b", expected="c"), 400, "BadRequestException", "a: got b; expected c"),
        (UnknownModel("m", ["n"]), 404, "ModelNotFoundException", "Model not found: m"),
        (
            UnknownVersion("m", "9", ["m"]),
            404,
            "ModelVersionNotFoundException",
            "Model version: 9 does not exist for model: m",
        ),
        (
            UrlNotRegistrable("../m.mar", "relative"),
            404,
            "ModelNotFoundException",
            "Relative path is not allowed in url: ../m.mar",
        ),
        (UrlNotRegistrable("m.mar", "not found"), 404, "ModelNotFoundException", "Model not found at: m.mar"),
        (
            UrlNotRegistrable("http://x/m", "not allowed"),
            404,
            "ModelNotFoundException",
            "Given URL http://x/m does not match any allowed URL(s)",
        ),
        (UrlNotRegistrable("m", "no store"), 404, "ModelNotFoundException", "Model store has not been configured."),
        (
            UnknownPath("/x"),
            404,
            "ResourceNotFoundException",
            "Requested resource is not found, please refer to API document.",
        ),
        (
            MethodNotAllowed("PATCH", "/models", ["GET"]),
            405,
            "MethodNotAllowedException",
            "Requested method is not allowed, please refer to API document.",
        ),
        (
            InvalidKey(),
            400,
            "InvalidKeyException",
            "Token Authorization failed. Token either incorrect, expired, or not provided correctly",
        ),
        (
            QueueFull(limit=1, retry_after=1),
            429,
            "ServiceUnavailableException",
            "the queue is full: its limit is 1 requests",
        ),
        (
            VersionConflict("m", "1.0", "it is served already"),
            409,
            "ConflictStatusException",
            "Model version 1.0 is already registered for model m",
        ),
        (
            DefaultVersion("m", "1.0", ["2.0", "1.0"]),
            403,
            "InvalidModelVersionException",
            "Cannot remove default version for model m",
        ),
        (ModelApiDisabled(), 405, "MethodNotAllowedException", "Model API disabled"),
        (ModelFailed("m", "memory"), 500, "InternalServerException", "model 'm' failed: memory"),
        (MISSING, 503, "ServiceUnavailableException", "m.mar: there is no such file"),
    ],
)
def test_an_error_has_torchserves_status_exception_and_text(
    error: ScalezeroError, status: int, kind: str, text: str
) -> None:
    found = error_fields(error)
    assert found[:2] == (status, kind)
    assert found[2].startswith(text)


@pytest.mark.parametrize(
    ("error", "status", "grpc", "kind"),
    [
        (MISSING, 404, Grpc.NOT_FOUND, "ModelNotFoundException"),
        (InvalidModel("m.mar", "no ONNX"), 400, Grpc.INVALID_ARGUMENT, "InvalidModelException"),
        (AccessDenied("s3://b/m", "no"), 400, Grpc.INVALID_ARGUMENT, "DownloadArchiveException"),
        (DiskFull("s3://b/m", "no room"), 503, Grpc.UNAVAILABLE, "InternalServerException"),
    ],
)
def test_the_cause_of_a_failed_registration_decides_the_error(
    error: ModelUnavailable, status: int, grpc: Grpc, kind: str
) -> None:
    failed = RegistrationFailed("m.mar", error)
    assert error_fields(failed)[:2] == (status, kind)
    assert grpc_code(failed) is grpc


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (
            RegistrationFailed("m.mar", MISSING),
            5,
            "Model not found at: m.mar%0Aorg.pytorch.serve.archive.model.ModelNotFoundException",
        ),
        (UnknownModel("m", []), 5, "Model not found: m%0Aorg.pytorch.serve.archive.model.ModelNotFoundException"),
        (
            UrlNotRegistrable("", "missing"),
            3,
            "Parameter url is required.%0Aorg.pytorch.serve.http.BadRequestException",
        ),
    ],
)
def test_grpc_gets_the_text_and_the_full_name_of_the_exception(
    error: ScalezeroError, status: int, message: str
) -> None:
    headers = dict(refuse(error).headers)
    assert headers[b"grpc-status"] == b"%d" % status
    assert headers[b"grpc-message"] == message.encode()
