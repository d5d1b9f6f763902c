"""Many callers at once over HTTP, each answer held against ONNX Runtime's own to the same input alone."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import onnxruntime as ort
from prometheus_client.parser import text_string_to_metric_families

from tests.conformance.cases import Case, Tensors
from tests.runtime.frontends.conftest import Served

PATH = "/api/v1/models/m/predict"
Reference = Callable[[Tensors], Mapping[str, Any]]


def reference(path: Path) -> tuple[list[str], Reference]:
    """The model's input names, and its outputs by name as a session of our own computes them."""
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    inputs = [each.name for each in session.get_inputs()]
    outputs = [each.name for each in session.get_outputs()]

    def run(tensors: Tensors) -> Mapping[str, Any]:
        return dict(zip(outputs, session.run(None, dict(zip(inputs, tensors, strict=True))), strict=True))

    return inputs, run


def all_at_once(served: Served, names: Sequence[str], requests: Sequence[Tensors]) -> list[httpx.Response]:
    """Each request over a connection of its own, sent in the same moment."""
    documents = [{"inputs": {name: each.tolist() for name, each in zip(names, one, strict=True)}} for one in requests]
    with ThreadPoolExecutor(len(requests)) as callers:

        def ask(document: object) -> httpx.Response:
            with served.client() as client:
                return client.post(PATH, json=document)

        return list(callers.map(ask, documents))


def check(case: Case, run: Reference, tensors: Tensors, response: httpx.Response) -> None:
    """Compare all of the answer with ONNX Runtime's own."""
    assert response.status_code == 200, response.text
    outputs = response.json()["outputs"]
    right = run(tensors)
    assert set(outputs) == set(right)
    for name, value in right.items():
        assert_near(outputs[name], value, case)


def assert_near(came: Any, right: Any, case: Case) -> None:  # noqa: ANN401 - any JSON value; an array, a sequence, None
    """Exact for what is no float, and relative to the row's own scale otherwise."""
    if isinstance(right, list):
        assert len(came) == len(right)
        for one, other in zip(came, right, strict=True):
            assert_near(one, other, case)
    elif right is None or right.dtype.kind != "f":
        assert came == (None if right is None else right.tolist())
    else:
        got = np.array(came, right.dtype).reshape(right.shape) if right.size == 0 else np.array(came, right.dtype)
        assert got.shape == right.shape
        for one, other in zip(np.atleast_1d(got), np.atleast_1d(right), strict=True):
            scale = float(np.abs(other).max(initial=0.0))
            np.testing.assert_allclose(one, other, rtol=0, atol=max(case.tolerance * scale, case.step))


def runs_and_rows(served: Served) -> tuple[float, float]:
    """How many runs the metric `scalezero_batch_rows` has counted, and the rows of all of them."""
    found = {
        sample.name: sample.value
        for family in text_string_to_metric_families(served.get("/metrics").text)
        for sample in family.samples
    }
    return found["scalezero_batch_rows_count"], found["scalezero_batch_rows_sum"]
