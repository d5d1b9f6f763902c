"""Sequences, maps and optional values of JSON, read item by item into what ONNX Runtime takes. Pure."""

from typing import Any

import numpy as np

from runtime.errors import InvalidInput
from runtime.protocols.json import tensors as json_tensors
from runtime.protocols.json.lists import show
from runtime.tensors import TensorSpec, as_array


def read(field: str, value: object, spec: TensorSpec) -> np.ndarray:
    """A list for a sequence, an object for a map, null for an optional value that is absent; as `as_array` gives it.

    Raises `InvalidInput` naming the first item that does not fit.
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
    return _map(field, value, of_items, whole_keys=container.endswith("int64"))


def _map(field: str, value: dict[str, Any], of_items: TensorSpec, *, whole_keys: bool) -> dict[Any, Any]:
    items = {}
    for key, each in value.items():
        number = json_tensors.tensor(f"{field}.{key:.60}", each, of_items)
        if number.ndim:
            raise InvalidInput(f"{field}.{key:.60}", got="a list", expected=f"one {of_items.datatype}")
        items[_whole(field, key) if whole_keys else key] = number.item()
    return items


def _whole(field: str, key: str) -> int:
    if not key.removeprefix("-").isdecimal() or len(key) > 20:  # noqa: PLR2004 - digits of int64, with a sign
        raise InvalidInput(f"{field}.{key:.60}", got="a name", expected="a whole number as the name")
    return int(key)
