"""Examples of tensors for a signature: the smallest valid tensors, with equal elements. Pure.

A signature has no example if a rank is unknown, an input is not a tensor, or the text would be long.
"""

import math
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from runtime.model.signature import Signature
    from runtime.tensors import TensorSpec

_MAX_ELEMENTS: Final = 4096  # of an example
_ELEMENTS: Final[dict[str, object]] = {"b": True, "i": 1, "u": 1, "f": 0.5, "O": "text"}


def shape(spec: "TensorSpec") -> tuple[int, ...]:
    """Return the shape of an example: 1 for each dynamic axis."""
    return tuple(size if isinstance(size, int) else 1 for size in spec.shape or ())


def flat(spec: "TensorSpec") -> list[Any]:
    """Return the elements in row-major order."""
    from runtime.model import elements

    return [_ELEMENTS[elements.kind(spec.dtype)]] * math.prod(shape(spec))


def nested(spec: "TensorSpec") -> object:
    """Return the tensor as nested lists; a scalar as its element."""
    tensor: Any = flat(spec)
    for size in reversed(shape(spec)[1:]):
        tensor = [tensor[start : start + size] for start in range(0, len(tensor), size)]
    return tensor if spec.shape else tensor[0]


def possible(signature: "Signature | None") -> bool:
    """Return whether the signature has an example."""
    if signature is None:
        return False
    specs = signature.inputs
    fit = all(spec.shape is not None and not spec.containers and math.prod(shape(spec)) for spec in specs)
    return fit and sum(math.prod(shape(spec)) for spec in specs) <= _MAX_ELEMENTS
