"""Signatures and tensors for the tests of both forms of the protocol."""

from typing import Any, cast

import ml_dtypes
import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from runtime.model.signature import Signature
from runtime.predictor import ReadyModel
from runtime.tensors import STRING, Prediction, TensorSpec
from tests.runtime.tensor_specs import spec

DATATYPES = {
    "BOOL": np.dtype(bool),
    **{f"INT{bits}": np.dtype(f"int{bits}") for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": np.dtype(f"uint{bits}") for bits in (8, 16, 32, 64)},
    "FP16": np.dtype("f2"),
    "FP32": np.dtype("f4"),
    "FP64": np.dtype("f8"),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "BYTES": STRING,
}


def signature_of(*inputs: TensorSpec) -> Signature:
    """Return the signature of a model with equal inputs and outputs."""
    return Signature(inputs, inputs)


ONE = signature_of(spec("x"))
TWO = signature_of(spec("a"), spec("b", dtype="i8"))


def model(signature: Signature) -> ReadyModel:
    """Return a model that has only a signature."""
    return ReadyModel("m", "1", cast("Any", None), signature, cast("Any", None))


def predicted(*outputs: np.ndarray) -> Prediction:
    return Prediction(outputs, model="m", version="1", arrived=0.0, queued=0.0, batched=0.0, ran=0.0)


def tensors(datatype: str, *, finite: bool = False) -> st.SearchStrategy[np.ndarray]:
    """Return a strategy for tensors of that datatype, also empty ones; without NaN and infinity if `finite`."""
    shapes = arrays.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4)
    if datatype == "BYTES":
        return arrays.arrays(STRING, shapes, elements=st.text(st.characters(exclude_categories=["Cs"]), max_size=5))
    if datatype == "BF16":
        return arrays.arrays(np.uint16, shapes).map(lambda each: each.view(ml_dtypes.bfloat16))
    limits = {"allow_nan": False, "allow_infinity": False} if finite and datatype.startswith("FP") else None
    return arrays.arrays(DATATYPES[datatype], shapes, elements=limits)


def same(one: np.ndarray, other: np.ndarray) -> bool:
    """Return whether both have the same element type, shape and bits."""
    if (one.dtype, one.shape) != (other.dtype, other.shape):
        return False
    return one.tolist() == other.tolist() if one.dtype == STRING else one.tobytes() == other.tobytes()
