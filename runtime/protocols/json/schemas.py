"""JSON values as JSON Schema: an element of a tensor, lists of a shape, lists of any shape. Pure.

Source: JSON Schema 2020-12, as OpenAPI 3.1 has it. (That the lists of a tensor are of one length where the model does
not fix it, a schema cannot say.)
"""

from typing import Any, Final

import numpy as np

from runtime.model import elements
from runtime.tensors import Shape, TensorSpec

Schema = dict[str, Any]

_LEVELS: Final = 6  # of lists within each other, whose elements a schema describes where the model leaves the rank open


def element(spec: TensorSpec) -> Schema:
    """One element, with the range of its type."""
    free = unbounded(spec)
    kind = elements.kind(spec.dtype)
    if kind in "iu":
        least, most = elements.whole_range(spec.dtype)
        return {**free, "minimum": least, "maximum": most}
    if kind == "f" and spec.dtype != np.float64:
        largest = float(str(np.float32(elements.float_range(spec.dtype)[0])))  # in its shortest form
        return {**free, "minimum": -largest, "maximum": largest}
    return free


def unbounded(spec: TensorSpec) -> Schema:
    """One element, by its kind alone; null is NaN."""
    types = {"b": "boolean", "i": "integer", "u": "integer", "O": "string", "f": ["number", "null"]}
    return {"type": types[elements.kind(spec.dtype)]}


def lists(of: Schema, shape: Shape) -> Schema:
    """Lists within each other, of the sizes that the shape fixes."""
    if not shape:
        return of
    size = shape[0]
    bounds = {"minItems": size, "maxItems": size} if isinstance(size, int) else {}
    return {"type": "array", "items": lists(of, shape[1:]), **bounds}


def of_any_shape(of: Schema, levels: int = _LEVELS) -> Schema:
    """One element, or lists of them."""
    deeper = {"items": of_any_shape(of, levels - 1)} if levels else {}
    return {"anyOf": [of, {"type": "array", **deeper}]}
