"""Sequences, maps and optional values in JSON to the values of ONNX Runtime, item by item. Pure."""

from typing import Any, Final

import numpy as np

from runtime.errors import InvalidInput
from runtime.protocols.json import tensors as json_tensors
from runtime.protocols.json.lists import show
from runtime.tensors import TensorSpec, as_array

_INT64: Final = np.iinfo(np.int64)
_MAX_CHARS: Final = 20  # of an int64 with its sign


def read(field: str, value: object, spec: TensorSpec) -> np.ndarray:
    """Convert a list to a sequence, an object to a map, null to an absent optional value; return it as `as_array` does.

    Raises `InvalidInput` for the first item that does not fit.
    """
    return as_array(_read(field, value, spec))


def _read(field: str, value: Any, spec: TensorSpec) -> Any:  # noqa: ANN401 - any JSON value
    if not spec.containers:
        return json_tensors.tensor(field, value, spec)
    container, *inner = spec.containers
    of_items = spec._replace(containers=tuple(inner))
    if container == "optional":
        return None if value is None else _read(field, value, of_items)
    if container == "sequence":
        if not isinstance(value, (list, np.ndarray)):
            raise InvalidInput(field, got=show(value), expected=f"a list ({spec.describe()})")
        return [_read(f"{field}[{index}]", each, of_items) for index, each in enumerate(value)]
    if not isinstance(value, dict):
        raise InvalidInput(field, got=show(value), expected=f"an object ({spec.describe()})")
    return _map(field, value, of_items, int_keys=container.endswith("int64"))


def _map(field: str, value: dict[str, Any], of_items: TensorSpec, *, int_keys: bool) -> dict[Any, Any]:
    items = {}
    for key, each in value.items():
        number = json_tensors.tensor(f"{field}.{key:.60}", each, of_items)
        if number.ndim:
            raise InvalidInput(f"{field}.{key:.60}", got="a list", expected=f"one {of_items.datatype}")
        items[_int_key(field, key) if int_keys else key] = number.item()
    return items


def _int_key(field: str, key: str) -> int:
    if key.removeprefix("-").isdecimal() and len(key) <= _MAX_CHARS and _INT64.min <= int(key) <= _INT64.max:
        return int(key)
    raise InvalidInput(f"{field}.{key:.60}", got=show(key), expected="an int64 as the key")
