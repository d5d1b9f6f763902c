"""Tests of inputs and outputs of every kind, over a real socket."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from tests import models
from tests.runtime.frontends.conftest import error_of, serving


def ids(path: Path) -> Path:
    """A cast of integers to floats, [n] -> [n]."""
    return models.cast(path, to=models.FLOAT, element=models.INT64)


def one_at_a_time(path: Path) -> Path:
    """`y` = 2 `x`, both of the fixed shape [1, 2]."""
    return models.fixed_rows(path, rows=1)


def detector(path: Path) -> Path:
    """Every pixel of an image, [1, 2, 2], above 0.5 is a detection."""
    nodes = [
        helper.make_node("Greater", ["x", "least"], ["found"]),
        helper.make_node("NonZero", ["found"], ["axes"]),
        helper.make_node("Transpose", ["axes"], ["places"]),
        helper.make_node("Cast", ["places"], ["boxes"], to=models.FLOAT),
        helper.make_node("GatherND", ["x", "places"], ["scores"]),
    ]
    outputs = [models.value("boxes", models.FLOAT, ["num_dets", 4]), models.value("scores", models.FLOAT, ["num_dets"])]
    inputs = [models.value("x", models.FLOAT, ["batch", 1, 2, 2])]
    return models.save(path, nodes, inputs, outputs, least=np.array(0.5, np.float32))


Example = tuple[object, object]  # inputs, expected outputs
NEW = [[[[1, 2, 3, 4]], [[5, 6, 7, 8]]]]


@pytest.mark.parametrize(
    ("make", "examples"),
    [
        (models.pooled, [([[[[1] * 8] * 4] * 3], [[[[1]], [[1]], [[1]]]])]),
        (models.first_step, [({"past": [[[], []]], "new": NEW}, {"present": NEW})]),
        (ids, [([1.0, 2, 3e0], [1, 2, 3]), ([], [])]),
        (models.repeated, [(["a", "b"], [["a", "b"], ["a", "b"]])]),
        (models.absent, [([1.0], {"o": None, "z": [1]})]),
        (models.joined, [([[1], [2, 3]], [1, 2, 3])]),
        (models.optional_input, [({"x": [1]}, {"y": True}), ({}, {"y": False}), ({"x": None}, {"y": False})]),
        (one_at_a_time, [([1, 2], [2, 4]), ([[1, 2]], [[2, 4]]), ([[1, 2], [3, 4]], [[2, 4], [6, 8]])]),
        (models.scaled, [({"x": [[1, 2]], "k": 3}, {"y": [[3, 6]]})]),
        (
            detector,
            [
                (
                    [[[0, 0.9], [0.7, 0.8]]],
                    {"boxes": [[0, 0, 0, 1], [0, 0, 1, 0], [0, 0, 1, 1]], "scores": [0.9, 0.7, 0.8]},
                ),
                ([[[0, 0.9], [0, 0]]], {"boxes": [[0, 0, 0, 1]], "scores": [0.9]}),
                ([[[0, 0], [0, 0]]], {"boxes": [], "scores": []}),
            ],
        ),
        (
            models.people,
            [
                ({"age": [22, 30], "sex": ["f", "m"]}, {"score": [[0.22], [0.3]], "label": [["f"], ["m"]]}),
                (
                    [{"age": 22, "sex": "f"}, {"age": 30, "sex": "m"}],
                    {"score": [[0.22], [0.3]], "label": [["f"], ["m"]]},
                ),
                ({"age": 22, "sex": "f"}, {"score": [0.22], "label": ["f"]}),
            ],
        ),
    ],
)
def test_every_kind_of_value_is_answered(tmp_path: Path, make: Callable[[Path], Path], examples: list[Example]) -> None:
    with serving(tmp_path, make(tmp_path / "m.onnx")) as served:
        for inputs, outputs in examples:
            response = served.predict(inputs)
            assert response.status_code == 200, response.text
            assert response.json()["outputs"] == outputs


def test_a_fraction_for_a_whole_number_is_refused(tmp_path: Path) -> None:
    with serving(tmp_path, ids(tmp_path / "m.onnx")) as served:
        error = error_of(served.predict([1.5, 2, 3]), 400)
    assert error["message"].startswith("inputs[0]: got 1.5; expected a whole number from -9223372036854775808")


def test_a_vector_for_a_scalar_is_refused(tmp_path: Path) -> None:
    with serving(tmp_path, models.scaled(tmp_path / "m.onnx")) as served:
        error = error_of(served.predict({"x": [[1, 2]], "k": [1, 2]}), 400)
    assert error["message"] == "inputs.k: got shape [2]; expected float32[]"


@pytest.mark.parametrize(
    ("make", "inputs", "outputs"),
    [
        (
            models.repeated,
            [{"name": "x", "kind": "tensor", "datatype": "string", "shape": ["n"]}],
            [{"name": "y", "kind": "sequence", "datatype": "sequence(string)", "shape": None}],
        ),
        (
            models.absent,
            [{"name": "x", "kind": "tensor", "datatype": "float32", "shape": ["n"]}],
            [
                {"name": "o", "kind": "optional", "datatype": "optional(float32)", "shape": None},
                {"name": "z", "kind": "tensor", "datatype": "float32", "shape": ["n"]},
            ],
        ),
    ],
)
def test_the_metadata_describes_the_kinds_of_values(
    tmp_path: Path, make: Callable[[Path], Path], inputs: list[dict[str, Any]], outputs: list[dict[str, Any]]
) -> None:
    with serving(tmp_path, make(tmp_path / "m.onnx")) as served:
        described = served.get("/api/v1/models/m").json()
    assert (described["inputs"], described["outputs"]) == (inputs, outputs)


def test_the_paths_of_the_openapi_document_are_served(tmp_path: Path) -> None:
    name = "50% off? ü"
    models.doubling(tmp_path / "m.onnx")
    with serving(tmp_path, tmp_path / "m.onnx", SCALEZERO_MODEL_NAME=name) as served, served.client() as client:
        path = next(each for each in served.get("/openapi.json").json()["paths"] if each.endswith("predict"))
        assert client.post(path, json={"inputs": [1, 2]}).json()["outputs"] == [2, 4]
