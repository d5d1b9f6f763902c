"""Errors: TorchServe's form, types and statuses, and the headers of every answer."""

import uuid

import orjson
import pytest

from runtime import errors
from runtime.protocols.torchserve.faults import refuse

CASES = [
    (errors.UnknownModel("m", []), 404, "ModelNotFoundException", "Model not found: m"),
    (errors.UnknownModel("m", [], version="1"), 404, "ModelNotFoundException", "Model not found: m"),
    (
        errors.UnknownVersion("m", "9.9", ["1.0"]),
        404,
        "ModelVersionNotFoundException",
        "Model version: 9.9 does not exist for model: m",
    ),
    (
        errors.UnknownPath("/x"),
        404,
        "ResourceNotFoundException",
        "Requested resource is not found, please refer to API document.",
    ),
    (
        errors.MethodNotAllowed("PUT", "/x", ["GET"]),
        405,
        "MethodNotAllowedException",
        "Requested method is not allowed, please refer to API document.",
    ),
    (errors.InvalidInput("body", got="1", expected="2"), 400, "BadRequestException", "body: got 1; expected 2"),
    (errors.RequestTimeout("head", seconds=1), 408, "RequestTimeoutException", "request head: not complete"),
    (errors.PayloadTooLarge("body", limit=1, unit="bytes"), 413, "BadRequestException", "body: got more than 1 bytes"),
    (
        errors.QueueFull(limit=1, retry_after=1),
        429,
        "ServiceUnavailableException",
        "the queue is full: its limit is 1 requests",
    ),
    (errors.ShuttingDown(), 503, "ServiceUnavailableException", "this process is shutting down"),
    (errors.RunTimeout("m", 1), 504, "InternalServerException", "model 'm' did not finish"),
    (errors.InternalError(), 500, "InternalServerException", "internal error; the server's log"),
    (errors.UnsupportedOperation("x", "y"), 503, "InternalServerException", "Prediction failed: x is not supported"),
    (errors.InvalidInput("\ud800", got="1", expected="2"), 400, "BadRequestException", "\\ud800: got 1"),
]


@pytest.mark.parametrize(("fault", "status", "kind", "message"), CASES, ids=lambda each: str(each)[:30])
def test_an_error_has_torchserves_form(fault: errors.ScalezeroError, status: int, kind: str, message: str) -> None:
    answer = refuse(fault)
    document = orjson.loads(answer.body)  # type: ignore[arg-type]
    assert answer.status == status
    assert set(document) == {"code", "type", "message"}
    assert (document["code"], document["type"]) == (status, kind)
    assert document["message"].startswith(message)


def test_every_answer_has_a_unique_identifier_and_is_not_cached() -> None:
    first, second = (dict(refuse(errors.QueueFull(limit=1, retry_after=3)).headers) for _ in range(2))
    assert uuid.UUID(first.pop(b"x-request-id").decode()) != uuid.UUID(second.pop(b"x-request-id").decode())
    assert (
        first
        == second
        == {
            b"content-type": b"application/json",
            b"pragma": b"no-cache",
            b"cache-control": b"no-cache; no-store, must-revalidate, private",
            b"expires": b"Thu, 01 Jan 1970 00:00:00 UTC",
            b"retry-after": b"3",
        }
    )
