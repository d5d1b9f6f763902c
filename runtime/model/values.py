"""Values of ONNX Runtime to and from arrays, where a NumPy array is not what it takes or gives itself.

Containers cross as Python lists and dictionaries. The narrow element types (bfloat16, float8, 4 bits) cross as bytes
in an OrtValue, as ONNX Runtime 1.32 gives no NumPy array for most of them. ONNX has no sequence, map or optional value
of these.
"""

import ctypes
from typing import Any

import numpy as np
import onnxruntime as ort

from runtime.model import elements
from runtime.tensors import STRING, TensorSpec, as_array


def feed(array: np.ndarray, spec: TensorSpec) -> Any:  # noqa: ANN401 - what ONNX Runtime takes
    """What `InferenceSession.run` takes for an input's array: itself, a list, a dictionary, None or an OrtValue."""
    if spec.containers and not array.ndim and array.dtype == STRING:
        return array.item()
    if spec.containers not in ((), ("optional",)):
        return list(array)
    return array if elements.narrow(spec.dtype) is None else ort_value(array)


def ort_value(array: np.ndarray) -> "ort.OrtValue":
    """The array as an OrtValue."""
    narrow = elements.narrow(array.dtype)
    if narrow is None:
        return ort.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array))
    value = ort.OrtValue.ortvalue_from_shape_and_type(list(array.shape), narrow.number, "cpu")
    data = elements.packed(array)
    ctypes.memmove(value.data_ptr(), data, len(data))
    return value


def array_of(value: "ort.OrtValue", spec: TensorSpec) -> np.ndarray:
    """An OrtValue as an array."""
    if elements.narrow(spec.dtype) is None:
        return np.asarray(value.numpy())
    data = ctypes.string_at(value.data_ptr(), value.tensor_size_in_bytes())
    return elements.unpacked(data, spec.dtype, value.shape())


def example(spec: TensorSpec) -> np.ndarray:
    """The least that fits: zeros (or empty strings) with a size of 1 on dynamic axes, an empty container, None."""
    if spec.containers:
        return as_array({"sequence": [], "map": {}}.get(spec.kind))
    shape = [size if isinstance(size, int) else 1 for size in spec.shape or ()]
    return np.full(shape, "" if spec.dtype == STRING else 0, dtype=spec.dtype)
