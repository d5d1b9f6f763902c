"""Conversion of arrays to and from ONNX Runtime's values, for types that it does not represent as NumPy arrays.

Containers are Python lists and dictionaries. Narrow element types (bfloat16, float8, 4 bits) are bytes in an OrtValue,
because ONNX Runtime 1.32 has no NumPy array for most of them. ONNX has no sequence, map or optional value of these.
"""

import ctypes
from typing import Any

import numpy as np
import onnxruntime as ort

from runtime.model import elements
from runtime.tensors import STRING, TensorSpec, as_array


def feed(array: np.ndarray, spec: TensorSpec) -> Any:  # noqa: ANN401 - the types that ONNX Runtime accepts
    """Return an input's array as `InferenceSession.run` expects it: an array, list, dictionary, None or OrtValue."""
    if spec.containers and not array.ndim and array.dtype == STRING:
        return array.item()
    if spec.containers not in ((), ("optional",)):
        return list(array)
    return array if elements.narrow(spec.dtype) is None else ort_value(array)


def ort_value(array: np.ndarray) -> "ort.OrtValue":
    """Return the array as an OrtValue."""
    narrow = elements.narrow(array.dtype)
    if narrow is None:
        return ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array))
    value = ort.OrtValue.ortvalue_from_shape_and_type(list(array.shape), narrow.number, "cpu")
    data = elements.packed(array)
    ctypes.memmove(value.data_ptr(), data, len(data))
    return value


def array_of(value: "ort.OrtValue", spec: TensorSpec) -> np.ndarray:
    """Return an OrtValue as an array."""
    if elements.narrow(spec.dtype) is None:
        return np.asarray(value.numpy())
    data = ctypes.string_at(value.data_ptr(), value.tensor_size_in_bytes())
    return elements.unpacked(data, spec.dtype, value.shape())


def example(spec: TensorSpec) -> np.ndarray:
    """Return a minimal value: zeros (or empty strings) with size 1 on dynamic axes, an empty container, or None."""
    if spec.containers:
        return as_array({"sequence": [], "map": {}}.get(spec.kind))
    shape = [size if isinstance(size, int) else 1 for size in spec.shape or ()]
    return np.full(shape, "" if spec.dtype == STRING else 0, dtype=spec.dtype)
