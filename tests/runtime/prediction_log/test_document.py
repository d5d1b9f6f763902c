"""The data of an event: what each kind of tensor becomes, and what is left out if it does not fit."""

import json
from typing import Any

import numpy as np
import pytest

from runtime.prediction_log.encoding import Encoder, Facts
from runtime.prediction_log.log import PredictionLog, Queue
from runtime.predictor import ReadyModel
from runtime.sinks import Outcome
from runtime.tensors import STRING, TensorSpec, as_array
from tests.runtime.prediction_log.predictions import FLOATS, SCORES, TEXTS, outcome, ready

FACTS = Facts("t", "fraud", "fraud-1", {})


class Unused:
    """An output that leaves everything in the queue."""

    def wake(self) -> None:
        """Do nothing."""

    async def run(self) -> None:
        """Do nothing."""

    async def drain(self, within: float) -> None:
        """Do nothing."""


def data_of(logged: Outcome, *, most: int = 10_000) -> dict[str, Any]:
    queue, encoder = Queue(10), Encoder(FACTS, most=most)
    PredictionLog(queue, encoder, Unused(), share=1.0, most=most).offer(logged)
    document: dict[str, Any] = json.loads(encoder.structured(queue.take()))["data"]
    return document


def model(spec: TensorSpec) -> ReadyModel:
    return ready(inputs=(FLOATS, spec), outputs=(SCORES,))


def second(array: np.ndarray, spec: TensorSpec, *, most: int = 10_000) -> dict[str, Any] | None:
    """Return the second input as it is logged; None: it is left out."""
    inputs = data_of(outcome(model=model(spec), inputs=[np.ones((1, 2), np.float32), array]), most=most)["inputs"]
    return inputs[1] if len(inputs) > 1 else None


def test_the_parameters_have_what_is_known_and_nothing_else() -> None:
    assert data_of(outcome())["parameters"] == {
        "service": "fraud",
        "revision": "fraud-1",
        "variant": "int8",
        "provider": "CPUExecutionProvider",
        "precision": "int8",
        "protocol": "predict",
        "queue_ms": 1.0,
        "batch_ms": 2.0,
        "run_ms": 3.0,
        "total_ms": 500.0,
    }
    assert "id" not in data_of(outcome())
    logged = data_of(outcome(id='a"b', request_id="é\\"))
    assert (logged["id"], logged["parameters"]["request_id"]) == ('a"b', "é\\")


@pytest.mark.parametrize(
    ("array", "spec", "datatype", "data"),
    [
        (np.array([[1, 2]], np.int64), TensorSpec("i", np.dtype(np.int64), (None, 2)), "INT64", [1, 2]),
        (np.array([True, False]), TensorSpec("b", np.dtype(bool), (None,)), "BOOL", [True, False]),
        (np.array(["a", "é"], object), TEXTS, "BYTES", ["a", "é"]),
        (
            np.array([np.nan, np.inf, 0.1], np.float32),
            TensorSpec("f", np.dtype(np.float32), (None,)),
            "FP32",
            [None, None, 0.1],
        ),
        (np.array(7, np.float16), TensorSpec("s", np.dtype(np.float16), ()), "FP16", [7.0]),
        (np.empty((0, 2), np.float32), TensorSpec("e", np.dtype(np.float32), (None, 2)), "FP32", []),
        (np.ones((2, 3), np.float64).T, TensorSpec("d", np.dtype(np.float64), (None, 2)), "FP64", [1.0] * 6),
        (
            as_array([{1: 0.5}]),
            TensorSpec("m", np.dtype(np.float32), None, ("sequence", "map of int64")),
            "sequence(map(int64, float32))",
            [{"1": 0.5}],
        ),
    ],
    ids=["int64", "bool", "strings", "nan", "scalar", "empty", "transposed", "maps"],
)
def test_every_kind_of_tensor_has_its_datatype_shape_and_data(
    array: np.ndarray, spec: TensorSpec, datatype: str, data: list[object]
) -> None:
    assert second(array, spec) == {
        "name": spec.name,
        "datatype": datatype,
        "shape": list(array.shape),
        "data": data,
    }


def test_an_optional_input_that_is_absent_is_left_out() -> None:
    assert second(as_array(None), TensorSpec("o", np.dtype(np.float32), None, ("optional",))) is None


@pytest.mark.parametrize(
    ("array", "spec"),
    [
        (np.zeros((1, 900)), TensorSpec("n", np.dtype(np.float64), (None, 900))),
        (np.zeros((1, 400)), TensorSpec("n", np.dtype(np.float64), (None, 400))),
        (np.array(["x" * 2000], object), TEXTS),
    ],
    ids=["never encoded", "too long as JSON", "text"],
)
def test_a_tensor_that_does_not_fit_has_its_shape_and_the_reason(array: np.ndarray, spec: TensorSpec) -> None:
    found = second(array, spec, most=1200)
    assert found is not None
    assert found["shape"] == list(array.shape)
    assert found["parameters"]["omitted"] == f"too large for an event: {array.nbytes} bytes in memory"
    assert "data" not in found


def test_the_largest_tensor_is_left_out_first_and_the_others_stay() -> None:
    wide = TensorSpec("w", np.dtype(np.float32), (None, 200))
    logged = outcome(model=model(wide), inputs=[np.ones((1, 2), np.float32), np.ones((1, 200), np.float32)])
    document = data_of(logged, most=1024)
    assert ["data" in each for each in (*document["inputs"], *document["outputs"])] == [True, False, True]
    assert len(json.dumps(document)) <= 1024


def test_what_is_logged_does_not_change_with_the_arrays() -> None:
    array = np.array([[1.0, 2.0]], np.float32)
    logged = outcome(inputs=[array])
    queue, encoder = Queue(10), Encoder(FACTS, most=10_000)
    PredictionLog(queue, encoder, Unused(), share=1.0, most=10_000).offer(logged)
    array *= 0
    assert json.loads(encoder.structured(queue.take()))["data"]["inputs"][0]["data"] == [1.0, 2.0]


def test_strings_are_the_type_of_objects() -> None:
    assert STRING.kind == "O"  # `entries` and `document` rely on it
