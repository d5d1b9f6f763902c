"""The predict API, `POST /api/v1/models/{model_name}/predict`, as the user's APIDefinition ml-inference-api has it.

    {"inputs": [0.1, 0.2, ...]}             one row            -> "outputs": [0.93]
    {"inputs": [[0.1, ...], [0.7, ...]]}    rows               -> "outputs": [[0.93], [0.02]]
    {"inputs": {"a": ..., "b": ...}}        tensors by name    -> "outputs": {"score": ...}

The answer mirrors the shape asked. A model with several outputs answers by name however it was asked. One row of an
image or the like may be flat as well as nested.
"""

import difflib
import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from runtime.errors import InvalidInput
from runtime.model.signature import Signature, TensorSpec
from runtime.predictor import ReadyModel
from runtime.protocols import json_tensors
from runtime.tensors import Prediction

NAME: Final = "predict"


class Query:
    """A parsed request: one array per input, in the signature's order, and the form in which to answer."""

    __slots__ = ("by_name", "one_row", "tensors")

    def __init__(self, tensors: list[np.ndarray], *, one_row: bool, by_name: bool) -> None:
        self.tensors = tensors
        self.one_row = one_row  # the first axis was left out
        self.by_name = by_name


def parse(body: bytes, signature: Signature) -> Query:
    """Read a request body. Raises `InvalidInput` naming the field, what came and what would be right."""
    inputs = _inputs_of(json_tensors.load(body))
    numbers_only = json_tensors.numbers_only(body)
    if isinstance(inputs, dict):
        return _named(inputs, signature, numbers_only=numbers_only)
    if not isinstance(inputs, list):
        raise InvalidInput("inputs", got=json_tensors.show(inputs), expected="a list, or an object of named tensors")
    if len(signature.inputs) != 1:
        names = ", ".join(spec.name for spec in signature.inputs)
        why = f"this model has several inputs: {names}" if names else "this model has no input"
        raise InvalidInput("inputs", got="a list", expected=f"an object, as {why}")
    spec = signature.inputs[0]
    array = json_tensors.tensor("inputs", inputs, spec, numbers_only=numbers_only)
    tensor, one_row = _shaped("inputs", array, spec, batchable=signature.batchable)
    return Query([tensor], one_row=one_row, by_name=False)


def render(query: Query, model: ReadyModel, answer: Prediction, *, latency: float) -> bytes:
    """The answer's body; `latency` in seconds."""
    return json_tensors.dump(
        {
            "model_name": model.name,
            "model_version": model.version,
            "outputs": _outputs(query, model.signature, answer.outputs),
            "latency_ms": round(latency * 1e3, 3),
        }
    )


def _outputs(query: Query, signature: Signature, outputs: Sequence[Any]) -> Any:  # noqa: ANN401 - any JSON value
    if len(outputs) > 1 or query.by_name:
        rows = [array[0] if query.one_row and array.ndim else array for array in outputs]
        return {spec.name: json_tensors.plain(row) for spec, row in zip(signature.outputs, rows, strict=True)}
    output = outputs[0]
    if query.one_row and output.ndim > 1:  # a row of a rank-1 output is a number, and answered as a list of it
        output = output[0]
    return json_tensors.plain(output)


def _inputs_of(document: object) -> object:
    if isinstance(document, dict) and "inputs" in document and len(document) == 1:
        return document["inputs"]
    if not isinstance(document, dict):
        raise InvalidInput("body", got=json_tensors.show(document), expected='an object with "inputs"')
    other = next((name for name in document if name != "inputs"), None)
    if "inputs" not in document:
        came = "an empty object" if other is None else f"an object with {json_tensors.show(other)}"
        raise InvalidInput("inputs", got=came, expected='an object with "inputs"')
    raise InvalidInput(f"{other:.60}", got="an unknown field", expected='"inputs" alone')


def _named(inputs: dict[str, object], signature: Signature, *, numbers_only: bool) -> Query:
    known = [spec.name for spec in signature.inputs]
    for name in inputs:
        if name not in known:
            nearest = difflib.get_close_matches(name, known, 1)
            hint = f", perhaps {nearest[0]}" if nearest else ""
            expected = f"one of {', '.join(known)}{hint}"
            raise InvalidInput(f"inputs.{name:.60}", got="an unknown input", expected=expected)
    tensors, forms = [], []
    for spec in signature.inputs:
        if spec.name not in inputs:
            raise InvalidInput(f"inputs.{spec.name}", got="nothing", expected=spec.describe())
        field = f"inputs.{spec.name}"
        array = json_tensors.tensor(field, inputs[spec.name], spec, numbers_only=numbers_only)
        tensor, one_row = _shaped(field, array, spec, batchable=signature.batchable)
        tensors.append(tensor)
        forms.append(one_row)
    if len(set(forms)) > 1:
        raise InvalidInput("inputs", got="one row in some inputs, rows in others", expected="the same form in each")
    return Query(tensors, one_row=any(forms), by_name=True)


def _shaped(field: str, array: np.ndarray, spec: TensorSpec, *, batchable: bool) -> tuple[np.ndarray, bool]:
    """The tensor with its first axis, and whether the caller left that out."""
    if spec.shape is None:
        return array, False
    rank = len(spec.shape)
    if array.ndim == rank and array.size:
        return array, False
    if batchable and array.ndim == rank - 1 and (array.size or rank == 1):
        return array[np.newaxis], True
    if batchable and (row := spec.row_shape) and array.ndim == 1 and array.size == math.prod(row):
        return array.reshape(1, *row), True
    if not array.size:
        raise InvalidInput(field, got="no elements", expected=spec.describe())
    raise InvalidInput(field, got=f"shape {list(array.shape)}", expected=_forms(spec, batchable=batchable))


def _forms(spec: TensorSpec, *, batchable: bool) -> str:
    if not batchable:
        return spec.describe()
    row = "one row" if spec.row_shape is None else f"one row {list(spec.row_shape)}"
    return f"{row} or rows {spec.describe()}"
