"""The inputs and outputs of the predict API as JSON Schema: one schema for each form that `row_forms` reads. Pure."""

import numpy as np

from runtime.model.signature import Signature
from runtime.protocols.json.schemas import Schema, element, lists, of_any_shape, unbounded
from runtime.tensors import Shape, TensorSpec


def inputs(signature: Signature) -> Schema:
    """Return the schema of `inputs`."""
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
    """Return the schema of a record: one row of each input, by name."""
    return {
        "type": "object",
        "required": [spec.name for spec in specs],
        "properties": {spec.name: _record_field(spec, spec.shape or ()) for spec in specs},
        "additionalProperties": False,
    }


def _record_field(spec: TensorSpec, shape: Shape) -> Schema:
    whole = lists(element(spec), shape[1:])
    return {"anyOf": [lists(element(spec), shape[1:-1]), whole]} if shape[1:] and shape[-1] == 1 else whole


def _input(spec: TensorSpec, signature: Signature) -> Schema:
    if spec.containers:
        return _container(spec, element(spec))
    if spec.shape is None:
        return of_any_shape(element(spec))
    rows: Shape = (None, *spec.shape[1:]) if signature.fixed_batch else spec.shape
    forms = [lists(element(spec), rows)]
    if spec.holds_rows:
        forms += _row_forms(spec, spec.shape[1:])
    return forms[0] if len(forms) == 1 else {"anyOf": forms}


def _row_forms(spec: TensorSpec, row: Shape) -> list[Schema]:
    """Return the schemas of one row without its first axis, of a column, and of one row as a flat list."""
    value = element(spec)
    if row == (1,):
        return [lists(value, (None,)), value]
    forms = [lists(value, row)]
    if len(row) > 1 and spec.row_shape:
        forms.append(lists(value, (int(np.prod(spec.row_shape)),)))
    return forms


def outputs(signature: Signature) -> Schema:
    """Return the schema of `outputs`."""
    specs = signature.outputs
    pairs = list(zip(specs, signature.row_outputs, strict=True))
    by_name = {
        "type": "object",
        "required": [spec.name for spec in specs],
        "properties": {spec.name: _output(spec, per_row=per_row, min_axes=0) for spec, per_row in pairs},
    }
    return {"anyOf": [_output(*specs, per_row=pairs[0][1], min_axes=1), by_name]} if len(specs) == 1 else by_name


def _output(spec: TensorSpec, *, per_row: bool, min_axes: int) -> Schema:
    """Return the schema of an output and, if it has rows, of one row of at least `min_axes` axes.

    The schema fixes no sizes: ONNX Runtime does not guarantee the sizes of an output.
    """
    value = unbounded(spec)
    if spec.containers:
        whole = _container(spec, value)
        items = whole.get("items")
        return {"anyOf": [whole, items]} if per_row and items is not None and not min_axes else whole
    if spec.shape is None:
        return of_any_shape(value)
    axes: Shape = (None,) * len(spec.shape)
    whole = lists(value, axes)
    return {"anyOf": [whole, lists(value, axes[1:])]} if per_row and len(axes) > min_axes else whole


def _container(spec: TensorSpec, value: Schema) -> Schema:
    container, *inner = spec.containers
    of_items = spec._replace(containers=tuple(inner))
    if container.startswith("map"):
        names = {"propertyNames": {"pattern": "^-?[0-9]+$"}} if container.endswith("int64") else {}
        return {"type": "object", "additionalProperties": value, **names}
    items = _container(of_items, value) if inner else of_any_shape(value)
    return {"anyOf": [items, {"type": "null"}]} if container == "optional" else {"type": "array", "items": items}
