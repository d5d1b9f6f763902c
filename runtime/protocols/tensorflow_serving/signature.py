"""A model's inputs and outputs in TensorFlow's terms. Pure.

An ONNX model has one signature, "serving_default". Its tensors have the names of the model's inputs and outputs.
TensorFlow has no sequences, maps and optional values: the signature omits them.
Sources: tensorflow/core/framework/types.proto, DataType; tensorflow/core/protobuf/meta_graph.proto, SignatureDef.
"""

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np

from runtime.tensors import STRING, TensorSpec

DEFAULT: Final = "serving_default"  # the signature's name
PREDICT: Final = "tensorflow/serving/predict"  # its method


class DataType(NamedTuple):
    """An element type: its name and number in the enum DataType, and its name in error messages."""

    name: str  # such as "DT_FLOAT"
    number: int
    word: str  # such as "float"


_TYPES: Final = {
    "float32": DataType("DT_FLOAT", 1, "float"),
    "float64": DataType("DT_DOUBLE", 2, "double"),
    "int32": DataType("DT_INT32", 3, "int32"),
    "uint8": DataType("DT_UINT8", 4, "uint8"),
    "int16": DataType("DT_INT16", 5, "int16"),
    "int8": DataType("DT_INT8", 6, "int8"),
    "int64": DataType("DT_INT64", 9, "int64"),
    "bool": DataType("DT_BOOL", 10, "bool"),
    "bfloat16": DataType("DT_BFLOAT16", 14, "bfloat16"),
    "uint16": DataType("DT_UINT16", 17, "uint16"),
    "float16": DataType("DT_HALF", 19, "half"),
    "uint32": DataType("DT_UINT32", 22, "uint32"),
    "uint64": DataType("DT_UINT64", 23, "uint64"),
    "float8_e5m2": DataType("DT_FLOAT8_E5M2", 24, "float8_e5m2"),
    "float8_e4m3fn": DataType("DT_FLOAT8_E4M3FN", 25, "float8_e4m3fn"),
    "float8_e4m3fnuz": DataType("DT_FLOAT8_E4M3FNUZ", 26, "float8_e4m3fnuz"),
    "float8_e5m2fnuz": DataType("DT_FLOAT8_E5M2FNUZ", 28, "float8_e5m2fnuz"),
    "int4": DataType("DT_INT4", 29, "int4"),
    "uint4": DataType("DT_UINT4", 30, "uint4"),
    "int2": DataType("DT_INT2", 31, "int2"),
    "uint2": DataType("DT_UINT2", 32, "uint2"),
    "float4_e2m1fn": DataType("DT_FLOAT4_E2M1FN", 33, "float4_e2m1fn"),
}
_STRING: Final = DataType("DT_STRING", 7, "string")


def data_type(dtype: np.dtype[np.generic]) -> DataType:
    """Return TensorFlow's data type for an element type."""
    return _STRING if dtype == STRING else _TYPES[dtype.name]


def dimensions(spec: TensorSpec) -> list[int] | None:
    """Return the sizes of a tensor's axes, -1 for a dynamic one; None if the rank is unknown."""
    return None if spec.shape is None else [size if isinstance(size, int) else -1 for size in spec.shape]


def tensors(specs: Iterable[TensorSpec]) -> list[TensorSpec]:
    """Return the inputs or outputs that are tensors, in their order."""
    return [spec for spec in specs if not spec.containers]


def signature_def(inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> dict[str, object]:
    """Return the signature in protobuf's JSON form of a SignatureDef, with the original names of the fields."""
    return {
        "inputs": {spec.name: _tensor_info(spec) for spec in tensors(inputs)},
        "outputs": {spec.name: _tensor_info(spec) for spec in tensors(outputs)},
        "method_name": PREDICT,
        "defaults": {},
    }


def _tensor_info(spec: TensorSpec) -> dict[str, object]:
    sizes = dimensions(spec)
    shape = {"dim": [{"size": str(size), "name": ""} for size in sizes or ()], "unknown_rank": sizes is None}
    return {"dtype": data_type(spec.dtype).name, "tensor_shape": shape, "name": spec.name}
