"""Arrays of floats for tests: a number or (nested) lists as one."""

from typing import Any

import numpy as np


def f16(values: Any) -> np.ndarray:  # noqa: ANN401 - whatever NumPy takes
    """An array of float16."""
    return np.array(values, np.float16)


def f32(values: Any) -> np.ndarray:  # noqa: ANN401 - as above
    """An array of float32."""
    return np.array(values, np.float32)


def f64(values: Any) -> np.ndarray:  # noqa: ANN401 - as above
    """An array of float64."""
    return np.array(values, np.float64)
