"""Arrays of floats for tests, from a number or (nested) lists."""

from typing import Any

import numpy as np


def f16(values: Any) -> np.ndarray:  # noqa: ANN401 - any value that NumPy accepts
    """Return an array of float16."""
    return np.array(values, np.float16)


def f32(values: Any) -> np.ndarray:  # noqa: ANN401 - as above
    """Return an array of float32."""
    return np.array(values, np.float32)


def f64(values: Any) -> np.ndarray:  # noqa: ANN401 - as above
    """Return an array of float64."""
    return np.array(values, np.float64)
