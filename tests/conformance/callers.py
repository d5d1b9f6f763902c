"""Concurrent callers over HTTP. Each answer is compared with ONNX Runtime's own output for the same input alone."""

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
    """Return the model's input names, and a function that computes its outputs by name with ONNX Runtime."""
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    inputs = [each.name for each in session.get_inputs()]
    outputs = [each.name for each in session.get_outputs()]

    def run(tensors: Tensors) -> Mapping[str, Any]:
        return dict(zip(outputs, session.run(None, dict(zip(inputs, tensors, strict=True))), strict=True))

    return inputs, run


def send_concurrently(served: Served, names: Sequence[str], requests: Sequence[Tensors]) -> list[httpx.Response]:
    """Send the requests at the same time, each over its own connection."""
    documents = [{"inputs": {name: each.tolist() for name, each in zip(names, one, strict=True)}} for one in requests]
    with ThreadPoolExecutor(len(requests)) as callers:

        def send(document: object) -> httpx.Response:
            with served.client() as client:
                return client.post(PATH, json=document)

        return list(callers.map(send, documents))


def check_answer(case: Case, run: Reference, tensors: Tensors, response: httpx.Response) -> None:
    """Compare the whole answer with ONNX Runtime's output."""
    assert response.status_code == 200, response.text
    outputs = response.json()["outputs"]
    expected = run(tensors)
    assert set(outputs) == set(expected)
    for name, value in expected.items():
        assert_near(outputs[name], value, case)


def assert_near(got: Any, expected: Any, case: Case) -> None:  # noqa: ANN401 - any JSON value; an array, a sequence, None
    """Compare floats relative to the largest value of their row, and other values exactly."""
    if isinstance(expected, list):
        assert len(got) == len(expected)
        for one, other in zip(got, expected, strict=True):
            assert_near(one, other, case)
    elif expected is None or expected.dtype.kind != "f":
        assert got == (None if expected is None else expected.tolist())
    else:
        array = np.array(got, expected.dtype)
        if expected.size == 0:
            array = array.reshape(expected.shape)
        assert array.shape == expected.shape
        for one, other in zip(np.atleast_1d(array), np.atleast_1d(expected), strict=True):
            scale = float(np.abs(other).max(initial=0.0))
            np.testing.assert_allclose(one, other, rtol=0, atol=max(case.tolerance * scale, case.step))


def runs_and_rows(served: Served) -> tuple[float, float]:
    """Return the number of runs in the metric `scalezero_batch_rows`, and the total of their rows."""
    found = {
        sample.name: sample.value
        for family in text_string_to_metric_families(served.get("/metrics").text)
        for sample in family.samples
    }
    return found["scalezero_batch_rows_count"], found["scalezero_batch_rows_sum"]
