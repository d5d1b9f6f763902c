"""Errors as gRPC answers, parsed as gRPC's own libraries parse them."""

import base64
from urllib.parse import unquote_to_bytes

import pytest
from google.rpc import error_details_pb2, status_pb2
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import (
    DeadlineExceeded,
    InternalError,
    InvalidInput,
    PayloadTooLarge,
    QueueFull,
    ScalezeroError,
    UnknownMethod,
    UnknownModel,
)
from runtime.http.messages import Answer
from runtime.protocols.grpc_errors import grpc_error_answer, percent_encoded


def status_of(answer: Answer) -> status_pb2.Status:
    """Return the status of a Trailers-Only answer; check that its header and its details agree."""
    headers = dict(answer.headers)
    assert (answer.status, answer.body, answer.trailers) == (200, b"", None)
    assert headers[b"content-type"] == b"application/grpc"
    encoded = headers[b"grpc-status-details-bin"]
    status = status_pb2.Status.FromString(base64.b64decode(encoded + b"=" * (-len(encoded) % 4), validate=True))
    assert int(headers[b"grpc-status"]) == status.code
    assert unquote_to_bytes(headers[b"grpc-message"]).decode() == status.message
    return status


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InvalidInput("inputs", got="a", expected="b"), 3),
        (DeadlineExceeded(waited=1, timeout=1), 4),
        (UnknownModel("x", []), 5),
        (PayloadTooLarge("body", limit=1, unit="bytes"), 8),
        (QueueFull(limit=1, retry_after=2), 8),
        (UnknownMethod("/a/b", []), 12),
        (InternalError(), 13),
        (ScalezeroError("no code"), 13),
    ],
)
def test_each_error_has_its_grpc_code_and_scalezeros_code_as_the_reason(error: ScalezeroError, code: int) -> None:
    if not hasattr(error, "code"):
        error.code = "unknown"  # type: ignore[misc] # an author's error may have any
    status = status_of(grpc_error_answer(error))
    assert status.code == code
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.domain == "scalezero"
    assert info.reason == (error.code.upper() if error.code != "unknown" else "INTERNAL")


def test_an_invalid_field_is_named() -> None:
    status = status_of(grpc_error_answer(InvalidInput("inputs", got="4 numbers", expected="3")))
    bad = error_details_pb2.BadRequest()
    assert status.details[1].Unpack(bad)
    [violation] = bad.field_violations
    assert (violation.field, violation.description) == ("inputs", "inputs: got 4 numbers; expected 3")


def test_the_delay_before_a_retry_is_stated() -> None:
    status = status_of(grpc_error_answer(QueueFull(limit=1, retry_after=7)))
    retry = error_details_pb2.RetryInfo()
    assert status.details[1].Unpack(retry)
    assert retry.retry_delay.seconds == 7


@given(st.text())
def test_any_text_can_be_sent_as_a_header(text: str) -> None:
    encoded = percent_encoded(text)
    assert all(0x20 <= byte <= 0x7E for byte in encoded)
    assert unquote_to_bytes(encoded).decode() == text


@pytest.mark.parametrize("text", ["\ud800", "é" * 5000, "%" * 5000])
def test_invalid_utf_8_and_long_texts_stay_within_the_limits_of_clients(text: str) -> None:
    answer = grpc_error_answer(InvalidInput(text, got=text, expected=text))
    assert status_of(answer).message
    assert sum(len(name) + len(value) + 32 for name, value in answer.headers) < 8 * 1024
