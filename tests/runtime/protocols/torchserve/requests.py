"""Requests and signatures for the tests of TorchServe's translators."""

import io
from types import SimpleNamespace
from typing import Any

import numpy as np

from runtime.http.messages import Answer, Request
from runtime.model.signature import Signature
from runtime.protocols.torchserve.inference import Predictions
from runtime.tensors import STRING, Prediction, Query, TensorSpec
from tests.runtime.tensor_specs import spec

JSON = "application/json"
BOUNDARY = "XyZ"


def signature(*inputs: TensorSpec) -> Signature:
    return Signature(inputs, inputs)


ONE = signature(spec("x"))
TWO = signature(spec("a"), spec("b", dtype="i8"))
PEOPLE = signature(spec("age", ("n", 1), "i8"), spec("name", ("n", 1), STRING))


def npy(array: object) -> bytes:
    """Return the array in the format of `numpy.save`."""
    with io.BytesIO() as file:
        np.save(file, np.asarray(array))
        return file.getvalue()


def request(body: bytes, kind: str = "", *, query: bytes = b"", **parameters: str) -> Request:
    headers = [(b"content-type", kind.encode())] if kind else []
    sent = Request("POST", "/", b"/", query, headers, "1.1", body)
    sent.match = SimpleNamespace(parameters={"model": "m", **parameters})
    return sent


def bound(signature: Signature, body: bytes, kind: str = "") -> Query:
    translator = Predictions()
    call = translator.decode(request(body, kind))
    [query] = translator.bind(call, model(signature))
    return query


def tensors(signature: Signature, body: bytes, kind: str = "") -> list[Any]:
    return [each.tolist() for each in bound(signature, body, kind).tensors]


def model(signature: Signature) -> Any:  # noqa: ANN401 - only its signature is read
    return SimpleNamespace(signature=signature)


def multipart(*parts: tuple[str, bytes], kind: str = "", file: bool = True) -> tuple[bytes, str]:
    """Return a form with these parts, and its content type; `kind` is the content type of each part."""
    body = b""
    for name, data in parts:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"'
        head += '; filename="f"' if file else ""
        head += f"\r\nContent-Type: {kind}" if kind else ""
        body += head.encode() + b"\r\n\r\n" + data + b"\r\n"
    return body + f"--{BOUNDARY}--\r\n".encode(), f"multipart/form-data; boundary={BOUNDARY}"


def answer_to(query: Query, signature: Signature, *outputs: np.ndarray) -> Answer:
    prediction = Prediction(outputs, model="m", version="1", arrived=0.0, queued=0.0, batched=0.0, ran=0.0)
    return Predictions().encode([query], [prediction], model(signature), latency=0.0)


def content(answer: Answer) -> bytes:
    return answer.body if isinstance(answer.body, bytes) else b"".join(answer.body)  # type: ignore[arg-type]
