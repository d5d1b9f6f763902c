"""The forms of a model's inputs as JSON, for the predict API and for TorchServe's JSON. Pure.

    [0.1, 0.2, ...]                   one row
    [[0.1, ...], [0.7, ...]]          rows
    {"a": ..., "b": ...}              tensors by name
    [{"a": ..., "b": ...}, ...]       records

`row_forms` lists the forms of one tensor.
"""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from struct import Struct
from struct import error as StructError  # noqa: N812 - it is a class
from typing import Any, Final, NamedTuple

import numpy as np

from runtime.errors import InvalidInput
from runtime.model.signature import Signature, check_sizes
from runtime.protocols import row_forms
from runtime.protocols.json import containers as json_containers
from runtime.protocols.json import tensors as json_tensors
from runtime.protocols.json.lists import show
from runtime.tensors import Query, TensorSpec

_SHOWN_CHARS: Final = 60  # of a name in an error message
_SHOWN_NAMES: Final = 20  # in an error message


class Form(NamedTuple):
    """The form of a request, and so of its answer."""

    one_row: bool  # the request omits the first axis
    by_name: bool


_ROW, _ROWS = Form(one_row=True, by_name=False), Form(one_row=False, by_name=False)
_NAMED_ROWS: Final = Form(one_row=False, by_name=True)


def bind(inputs: object, signature: Signature, *, body: bytes | None = None, keys: int = 1) -> Query:
    """Return the query of the inputs, in which large lists may be NumPy arrays already; its `form` is a `Form`.

    `body` is the JSON text of the request if it is small, and `keys` the number of object keys in it outside of the
    inputs: they make faster checks possible. Raises `InvalidInput` with the field, the received value and the
    allowed ones.
    """
    if isinstance(inputs, dict):
        return _named(inputs, signature, body, keys)
    if not isinstance(inputs, (list, np.ndarray)):
        raise InvalidInput("inputs", got=show(inputs), expected="a list, or an object of named tensors")
    if len(inputs) and type(inputs[0]) is dict and _allows_records(signature):
        return _records(inputs, signature)
    if len(signature.inputs) != 1:
        names = _list(spec.name for spec in signature.inputs)
        why = f"this model has several inputs: {names}" if names else "this model has no input"
        raise InvalidInput("inputs", got="a list", expected=f"an object or a list of objects, as {why}")
    spec = signature.inputs[0]
    numbers_only = body is not None and json_tensors.numbers_only(body, keys=keys)
    if numbers_only and signature.packer is not None and (row := _packed(inputs, signature.packer, spec)) is not None:
        return Query((row,), form=_ROW)
    array, rows = tensor("inputs", inputs, spec, numbers_only=numbers_only)
    return Query((array,), form=_ROW if row_forms.one_row((rows,), inputs=1) else _ROWS)


def _packed(inputs: Any, packer: Struct, spec: TensorSpec) -> np.ndarray | None:  # noqa: ANN401 - a list or an array
    """Return a row of numbers as a read-only tensor of one row; None if `inputs` is anything else."""
    try:
        return np.frombuffer(packer.pack(*inputs), spec.dtype)[np.newaxis]
    except (StructError, OverflowError):  # rows, null, another length, or a number beyond the element type's range
        return None


def _named(inputs: dict[str, Any], signature: Signature, body: bytes | None, keys: int) -> Query:
    check_names(inputs, signature, "inputs")
    numbers_only = body is not None and json_tensors.numbers_only(body, keys=keys + len(inputs))
    tensors, forms = [], []
    for spec in signature.inputs:
        field = f"inputs.{spec.name}"
        array, rows = tensor(field, inputs.get(spec.name), spec, numbers_only=numbers_only)
        tensors.append(array)
        forms.append(rows)
    return query(tensors, forms)


def query(tensors: Sequence[np.ndarray], forms: Sequence[row_forms.Rows], *, by_name: bool = True) -> Query:
    """Return the query of one tensor for each input, with their forms. Raises `InvalidInput` if the forms differ."""
    return Query(tensors, form=Form(one_row=row_forms.one_row(forms, inputs=len(forms)), by_name=by_name))


def tensor(field: str, value: object, spec: TensorSpec, *, numbers_only: bool) -> tuple[np.ndarray, row_forms.Rows]:
    """Convert a JSON value or an array to an input of the model's element type; return it and its form of rows.

    Raises `InvalidInput`.
    """
    if spec.containers:
        return json_containers.read(field, value, spec), None
    if isinstance(value, np.ndarray):  # of a large body: check the sizes before millions of elements are converted
        value, rows = row_forms.in_rows(field, value, spec)
        check_sizes(spec, value.shape, 1)
        return json_tensors.tensor(field, value, spec), rows
    array = json_tensors.tensor(field, value, spec, numbers_only=numbers_only)
    return row_forms.in_rows(field, array, spec)


def _allows_records(signature: Signature) -> bool:
    return all(spec.holds_rows for spec in signature.inputs)


def _records(records: Sequence[Any] | np.ndarray, signature: Signature) -> Query:
    """Return the query of one object per row, as pandas writes a table with `orient="records"`."""
    for index, record in enumerate(records):
        if not isinstance(record, dict):
            raise InvalidInput(f"inputs[{index}]", got=show(record), expected="an object, like inputs[0]")
        check_names(record, signature, f"inputs[{index}]")
    tensors = []
    for spec in signature.inputs:
        column = [record[spec.name] for record in records]
        array = json_tensors.tensor("inputs", column, spec, after_first=f".{spec.name}")
        tensors.append(row_forms.in_records(f"inputs[0].{spec.name}", array, spec))
    return Query(tensors, form=_NAMED_ROWS)


def check_names(inputs: Mapping[str, object], signature: Signature, field: str) -> None:
    """Check that every input that is not optional is present, and no other. Raises `InvalidInput`."""
    missing = next((each for each in signature.inputs if each.name not in inputs and each.kind != "optional"), None)
    if missing is None and len(inputs) == len(signature.inputs):
        return
    known = [spec.name for spec in signature.inputs]
    unknown = next((name for name in inputs if name not in known), None)
    if unknown is not None:
        nearest = difflib.get_close_matches(unknown[:_SHOWN_CHARS], known, 1)
        hint = f", perhaps {nearest[0]}" if nearest else ""
        expected = f"one of {_list(known)}{hint}" if known else "no input, as this model has none"
        raise InvalidInput(f"{field}.{unknown[:_SHOWN_CHARS]}", got="an unknown input", expected=expected)
    if missing is not None:
        raise InvalidInput(f"{field}.{missing.name}", got="nothing", expected=missing.describe())


def _list(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _SHOWN_NAMES} more" if len(listed) > _SHOWN_NAMES else ""
    return ", ".join(listed[:_SHOWN_NAMES]) + more
