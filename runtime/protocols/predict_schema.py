"""What the predict API takes and gives, as JSON Schema: one schema for each form that `row_forms` reads. Pure.

Source: JSON Schema 2020-12, as OpenAPI 3.1 has it. (That the lists of a tensor are of one length where the model does
not fix it, a schema cannot say.)
"""

from typing import Any, Final

import numpy as np

from runtime.model import elements
from runtime.model.signature import Signature
from runtime.tensors import Shape, TensorSpec

Schema = dict[str, Any]

_LEVELS: Final = 6  # of lists within each other, whose elements a schema describes where the model leaves the rank open


def request(signature: Signature | None) -> Schema:
    """The body of a request; of a model that is not loaded yet, what the API's general form allows."""
    return {
        "type": "object",
        "required": ["inputs"],
        "properties": {"inputs": {"type": ["array", "object"]} if signature is None else _inputs(signature)},
        "additionalProperties": False,
    }


def response(signature: Signature | None) -> Schema:
    """The body of an answer."""
    anything = {"type": ["array", "object", "number", "string", "boolean", "null"]}
    return {
        "type": "object",
        "required": ["model_name", "model_version", "outputs", "latency_ms"],
        "properties": {
            "model_name": {"type": "string"},
            "model_version": {"type": "string"},
            "outputs": anything if signature is None else _outputs(signature),
            "latency_ms": {"type": "number"},
        },
    }


def _inputs(signature: Signature) -> Schema:
    specs = signature.inputs
    by_name = {
        "type": "object",
        "required": [spec.name for spec in specs if spec.kind != "optional"],
        "properties": {spec.name: _input(spec, signature) for spec in specs},
        "additionalProperties": False,
    }
    forms = [by_name]
    if specs and all(spec.holds_rows for spec in specs):
        forms.append({"type": "array", "minItems": 1, "items": _record(specs)})
    if len(specs) == 1:
        forms.insert(0, {"allOf": [{"type": "array"}, _input(specs[0], signature)]})
    return {"anyOf": forms} if len(forms) > 1 else by_name


def _record(specs: tuple[TensorSpec, ...]) -> Schema:
    """One row of each input by its name."""
    return {
        "type": "object",
        "required": [spec.name for spec in specs],
        "properties": {spec.name: _record_field(spec, spec.shape or ()) for spec in specs},
        "additionalProperties": False,
    }


def _record_field(spec: TensorSpec, shape: Shape) -> Schema:
    whole = _lists(_element(spec), shape[1:])
    return {"anyOf": [_lists(_element(spec), shape[1:-1]), whole]} if shape[1:] and shape[-1] == 1 else whole


def _input(spec: TensorSpec, signature: Signature) -> Schema:
    if spec.containers:
        return _container(spec, _element(spec))
    if spec.shape is None:
        return _of_any_shape(_element(spec))
    rows: Shape = (None, *spec.shape[1:]) if signature.fixed_batch else spec.shape
    forms = [_lists(_element(spec), rows)]
    if spec.holds_rows:
        forms += _row_forms(spec, spec.shape[1:])
    return forms[0] if len(forms) == 1 else {"anyOf": forms}


def _row_forms(spec: TensorSpec, row: Shape) -> list[Schema]:
    """One row without its first axis, a column, one row as a flat list."""
    element = _element(spec)
    if row == (1,):
        return [_lists(element, (None,)), element]
    forms = [_lists(element, row)]
    if len(row) > 1 and spec.row_shape:
        forms.append(_lists(element, (int(np.prod(spec.row_shape)),)))
    return forms


def _outputs(signature: Signature) -> Schema:
    specs = signature.outputs
    pairs = list(zip(specs, signature.row_outputs, strict=True))
    by_name = {
        "type": "object",
        "required": [spec.name for spec in specs],
        "properties": {spec.name: _output(spec, per_row=per_row, least=0) for spec, per_row in pairs},
    }
    return {"anyOf": [_output(*specs, per_row=pairs[0][1], least=1), by_name]} if len(specs) == 1 else by_name


def _output(spec: TensorSpec, *, per_row: bool, least: int) -> Schema:
    """An output and, where it has rows, one row of at least `least` axes. ONNX Runtime does not promise its sizes."""
    element = _unbounded(spec)
    if spec.containers:
        whole = _container(spec, element)
        items = whole.get("items")
        return {"anyOf": [whole, items]} if per_row and items is not None and not least else whole
    if spec.shape is None:
        return _of_any_shape(element)
    axes: Shape = (None,) * len(spec.shape)
    whole = _lists(element, axes)
    return {"anyOf": [whole, _lists(element, axes[1:])]} if per_row and len(axes) > least else whole


def _container(spec: TensorSpec, element: Schema) -> Schema:
    container, *inner = spec.containers
    held = spec._replace(containers=tuple(inner))
    if container.startswith("map"):
        names = {"propertyNames": {"pattern": "^-?[0-9]+$"}} if container.endswith("int64") else {}
        return {"type": "object", "additionalProperties": element, **names}
    items = _container(held, element) if inner else _of_any_shape(element)
    return {"anyOf": [items, {"type": "null"}]} if container == "optional" else {"type": "array", "items": items}


def _lists(element: Schema, shape: Shape) -> Schema:
    if not shape:
        return element
    size = shape[0]
    bounds = {"minItems": size, "maxItems": size} if isinstance(size, int) else {}
    return {"type": "array", "items": _lists(element, shape[1:]), **bounds}


def _of_any_shape(element: Schema, levels: int = _LEVELS) -> Schema:
    deeper = {"items": _of_any_shape(element, levels - 1)} if levels else {}
    return {"anyOf": [element, {"type": "array", **deeper}]}


def _element(spec: TensorSpec) -> Schema:
    """One element, with the range of its type."""
    element = _unbounded(spec)
    kind = elements.kind(spec.dtype)
    if kind in "iu":
        least, most = elements.whole_range(spec.dtype)
        return {**element, "minimum": least, "maximum": most}
    if kind == "f" and spec.dtype != np.float64:
        largest = float(str(np.float32(elements.float_range(spec.dtype)[0])))  # in its shortest form
        return {**element, "minimum": -largest, "maximum": largest}
    return element


def _unbounded(spec: TensorSpec) -> Schema:
    types = {"b": "boolean", "i": "integer", "u": "integer", "O": "string", "f": ["number", "null"]}
    return {"type": types[elements.kind(spec.dtype)]}
