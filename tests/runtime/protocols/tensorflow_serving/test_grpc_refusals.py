"""Errors with TensorFlow Serving's messages, where clients depend on them."""

from urllib.parse import unquote

import pytest

from runtime.errors import QueueFull, ScalezeroError, UnknownModel, UnknownSignature
from runtime.http.messages import Answer
from runtime.protocols.tensorflow_serving.grpc_refusals import refuse, refuse_status


def code_and_text(answer: Answer) -> tuple[int, str]:
    headers = dict(answer.headers)
    return int(headers[b"grpc-status"]), unquote(headers[b"grpc-message"].decode())


@pytest.mark.parametrize(
    ("fault", "code", "text"),
    [
        (UnknownModel("x", ["m"]), 5, "Servable not found for request: Latest(x)"),
        (UnknownModel("m", ["m"], version="5"), 5, "Servable not found for request: Specific(m, 5)"),
        (UnknownSignature("s", "serving_default"), 9, 'Serving signature key "s" not found.'),
        (QueueFull(limit=3, retry_after=1), 8, "the queue is full: its limit is 3 requests; try again in 1 s"),
    ],
)
def test_errors_of_an_inference(fault: ScalezeroError, code: int, text: str) -> None:
    assert code_and_text(refuse(fault)) == (code, text)


@pytest.mark.parametrize(
    ("fault", "code", "text"),
    [
        (UnknownModel("x", ["m"]), 5, "Could not find any versions of model x"),
        (UnknownModel("m", ["m"], version="5"), 5, "Could not find version 5 of model m"),
        (QueueFull(limit=3, retry_after=1), 8, "the queue is full: its limit is 3 requests; try again in 1 s"),
    ],
)
def test_errors_of_a_model_status(fault: ScalezeroError, code: int, text: str) -> None:
    assert code_and_text(refuse_status(fault)) == (code, text)
