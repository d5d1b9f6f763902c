"""Outcomes of a model with one input and one output, for a log."""

from typing import Any

import numpy as np

from runtime.model.signature import Signature
from runtime.predictor import ReadyModel
from runtime.sinks import Outcome
from runtime.tensors import STRING, Prediction, Query, TensorSpec
from runtime.variants.choosing import LoadCandidate, Serving

FLOATS = TensorSpec("x", np.dtype(np.float32), (None, 2))
SCORES = TensorSpec("y", np.dtype(np.float32), (None, 1))
TEXTS = TensorSpec("t", STRING, (None,))


def ready(
    *, name: str = "m", inputs: tuple[TensorSpec, ...] = (FLOATS,), outputs: tuple[TensorSpec, ...] = (SCORES,)
) -> ReadyModel:
    """Return a loaded model, as far as a log reads it."""
    unused: Any = None
    return ReadyModel(
        name, "1", unused, Signature(inputs, outputs), unused, Serving(LoadCandidate(variant="int8", precision="int8"))
    )


def outcome(
    number: float = 1.0,
    *,
    model: ReadyModel | None = None,
    inputs: list[np.ndarray] | None = None,
    outputs: list[np.ndarray] | None = None,
    request_id: str | None = None,
    trace: str | None = None,
    id: str = "",  # noqa: A002 - as in `Query`
    code: str = "ok",
) -> Outcome:
    """Return the outcome of a request; by default, its input is [[number, 2]] and its output [[number]]."""
    model = model or ready()
    tensors = [np.array([[number, 2]], np.float32)] if inputs is None else inputs
    results = [np.array([[number]], np.float32)] if outputs is None else outputs
    prediction = Prediction(results, model=model.name, version="1", arrived=0.0, queued=0.001, batched=0.002, ran=0.003)
    queries, predictions = [Query(tensors, id=id)], [prediction]
    given = {b"x-request-id": request_id, b"traceparent": trace}
    headers = {name: value.encode("latin-1") for name, value in given.items() if value is not None}
    return Outcome("predict", model.name, "1", code, 1.0, 0.5, queries, predictions, model, headers.get)
