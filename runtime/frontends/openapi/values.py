"""The schemas of tensors in protocols with lists of rows, or with tensors by name. Pure."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, TypeAlias

from runtime.frontends.openapi.operations import TEXT, Schema, record

if TYPE_CHECKING:
    from runtime.tensors import TensorSpec

Element: TypeAlias = "Callable[[TensorSpec], Schema]"  # the schema of one element

_BASE64: Final = record({"b64": TEXT}, closed=True)
_PLAIN: Final[dict[str, Schema]] = {
    "b": {"type": "boolean"},
    "i": {"type": "integer"},
    "u": {"type": "integer"},
    "f": {"type": "number"},
    "O": {"anyOf": [TEXT, _BASE64]},
}


def row(specs: "Sequence[TensorSpec]", element: Element) -> Schema:
    """Return the schema of one row: the value of the only tensor, or an object with the values of several."""
    return _one_or_named(specs, lambda spec: _lists(spec, element, skip=1))


def whole(specs: "Sequence[TensorSpec]", element: Element) -> Schema:
    """Return the schema of all rows: the value of the only tensor, or an object with the values of several."""
    return _one_or_named(specs, lambda spec: _lists(spec, element, skip=0))


def open_sizes(specs: "Sequence[TensorSpec]") -> "list[TensorSpec]":
    """Return the tensors without fixed sizes, because ONNX Runtime does not guarantee the sizes of outputs."""
    return [spec._replace(shape=None if spec.shape is None else (None,) * len(spec.shape)) for spec in specs]


def plain(spec: "TensorSpec") -> Schema:
    """Return the schema of an element in TensorFlow Serving's JSON; a string may be base64."""
    from runtime.model import elements

    return _PLAIN[elements.kind(spec.dtype)]


def with_null(spec: "TensorSpec") -> Schema:
    """Return the schema of an element in the predict API's JSON, with the range of its type; null is NaN."""
    from runtime.protocols.json.schemas import element

    return element(spec)


def _one_or_named(specs: "Sequence[TensorSpec]", schema: "Callable[[TensorSpec], Schema]") -> Schema:
    tensors = [spec for spec in specs if not spec.containers]
    if len(tensors) == 1:
        return schema(tensors[0])
    return record({spec.name: schema(spec) for spec in tensors})


def _lists(spec: "TensorSpec", element: Element, *, skip: int) -> Schema:
    if spec.shape is None:
        return {}
    from runtime.protocols.json.schemas import lists

    return lists(element(spec), spec.shape[skip:])
