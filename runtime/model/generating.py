"""Generated inputs for a model, to compare the outputs of two forms of it. Pure.

Integers are 0 and 1: they may be indices, whose limits a file does not state.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

from runtime.model import values
from runtime.tensors import STRING

if TYPE_CHECKING:
    from runtime.tensors import TensorSpec

_SEED: Final = 0
_SIZES: Final = (1, 3)  # of dynamic axes; kernels may differ for one row and for several


def inputs(specs: Sequence["TensorSpec"]) -> list[list[np.ndarray]]:
    """Return several inputs of a run, each with one array per spec; a model may reject some of them."""
    random = np.random.default_rng(_SEED)
    return [[_array(spec, size, random) for spec in specs] for size in _SIZES]


def same(expected: np.ndarray, got: np.ndarray) -> bool:
    """Return whether two outputs are equal bit by bit. Items of sequences and maps are compared in turn."""
    if expected.dtype != got.dtype or expected.shape != got.shape:
        return False
    if expected.dtype != object:
        return expected.tobytes() == got.tobytes()
    return all(map(_same_item, expected.ravel().tolist(), got.ravel().tolist()))


def _same_item(expected: object, got: object) -> bool:
    if isinstance(expected, np.ndarray) and isinstance(got, np.ndarray):
        return same(expected, got)
    if isinstance(expected, dict) and isinstance(got, dict):
        return list(expected) == list(got) and all(map(_same_item, expected.values(), got.values()))
    if isinstance(expected, list | tuple) and isinstance(got, list | tuple):
        return len(expected) == len(got) and all(map(_same_item, expected, got))
    return type(expected) is type(got) and repr(expected) == repr(got)  # of floats: the bits, apart from those of NaN


def _array(spec: "TensorSpec", size: int, random: np.random.Generator) -> np.ndarray:
    if spec.containers:
        return values.example(spec)
    shape = [each if isinstance(each, int) else size for each in spec.shape or ()]
    if spec.dtype == STRING:
        return random.choice(np.array(["", "a", "b c"], dtype=object), shape)
    if spec.dtype.kind in "biu":
        return random.integers(0, 2, shape).astype(spec.dtype)
    return random.standard_normal(shape).astype(spec.dtype)
