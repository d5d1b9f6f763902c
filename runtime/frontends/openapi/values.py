"""The JSON of tensors in protocols that write a list of rows, or tensors by name. Pure."""

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
    """One row: of the only tensor its value, of several an object."""
    return _one_or_named(specs, lambda spec: _lists(spec, element, behind=1))


def whole(specs: "Sequence[TensorSpec]", element: Element) -> Schema:
    """All rows: of the only tensor its value, of several an object."""
    return _one_or_named(specs, lambda spec: _lists(spec, element, behind=0))


def open_sizes(specs: "Sequence[TensorSpec]") -> "list[TensorSpec]":
    """The tensors without fixed sizes: ONNX Runtime does not promise those of outputs."""
    return [spec._replace(shape=None if spec.shape is None else (None,) * len(spec.shape)) for spec in specs]


def plain(spec: "TensorSpec") -> Schema:
    """An element as TensorFlow Serving writes it; a string may be base64."""
    from runtime.model import elements

    return _PLAIN[elements.kind(spec.dtype)]


def with_null(spec: "TensorSpec") -> Schema:
    """An element as the predict API writes it, with the range of its type; null is NaN."""
    from runtime.protocols.json.schemas import element

    return element(spec)


def _one_or_named(specs: "Sequence[TensorSpec]", schema: "Callable[[TensorSpec], Schema]") -> Schema:
    tensors = [spec for spec in specs if not spec.containers]
    if len(tensors) == 1:
        return schema(tensors[0])
    return record({spec.name: schema(spec) for spec in tensors})


def _lists(spec: "TensorSpec", element: Element, *, behind: int) -> Schema:
    if spec.shape is None:
        return {}
    from runtime.protocols.json.schemas import lists

    return lists(element(spec), spec.shape[behind:])
