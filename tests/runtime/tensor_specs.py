"""Tensors of signatures for tests."""

import numpy as np
import numpy.typing as npt

from runtime.tensors import Shape, TensorSpec


def spec(name: str, shape: Shape | None = ("n", 2), dtype: npt.DTypeLike = "f4", *containers: str) -> TensorSpec:
    """Return a tensor; by default float32 with a dynamic number of rows of two."""
    return TensorSpec(name, np.dtype(dtype), shape, containers)
