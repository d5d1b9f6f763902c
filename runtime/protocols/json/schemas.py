"""JSON Schemas of an element of a tensor, of lists of a shape, and of lists of any shape. Pure.

Source: JSON Schema 2020-12, which OpenAPI 3.1 uses. (A schema cannot state that the lists of a dynamic axis have the
same length.)
"""

from typing import Any, Final

import numpy as np

from runtime.model import elements
from runtime.tensors import Shape, TensorSpec

Schema = dict[str, Any]

_LEVELS: Final = 6  # of nested lists that a schema describes if the model does not state the rank


def element(spec: TensorSpec) -> Schema:
    """Return the schema of one element, with the range of its type."""
    free = unbounded(spec)
    kind = elements.kind(spec.dtype)
    if kind in "iu":
        least, most = elements.whole_range(spec.dtype)
        return {**free, "minimum": least, "maximum": most}
    if kind == "f" and spec.dtype != np.float64:
        largest = float(str(np.float32(elements.float_range(spec.dtype)[0])))  # the shortest decimal form
        return {**free, "minimum": -largest, "maximum": largest}
    return free


def unbounded(spec: TensorSpec) -> Schema:
    """Return the schema of one element without a range; null is NaN."""
    types = {"b": "boolean", "i": "integer", "u": "integer", "O": "string", "f": ["number", "null"]}
    return {"type": types[elements.kind(spec.dtype)]}


def lists(of: Schema, shape: Shape) -> Schema:
    """Return the schema of nested lists with the fixed sizes of the shape."""
    if not shape:
        return of
    size = shape[0]
    bounds = {"minItems": size, "maxItems": size} if isinstance(size, int) else {}
    return {"type": "array", "items": lists(of, shape[1:]), **bounds}


def of_any_shape(of: Schema, levels: int = _LEVELS) -> Schema:
    """Return the schema of one element or nested lists of any shape."""
    deeper = {"items": of_any_shape(of, levels - 1)} if levels else {}
    return {"anyOf": [of, {"type": "array", **deeper}]}
