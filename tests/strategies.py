"""Hypothesis strategies for properties of the runtime: tensors, requests, JSON documents."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from runtime.model.signature import Signature
from runtime.tensors import STRING, TensorSpec

DTYPES = (
    np.float16,
    np.float32,
    np.float64,
    np.int8,
    np.int16,
    np.int32,
    np.int64,
    np.uint8,
    np.uint16,
    np.uint32,
    np.uint64,
    np.bool_,
)
dtypes = st.sampled_from([np.dtype(each) for each in DTYPES])
row_shapes = npst.array_shapes(min_dims=0, max_dims=3, max_side=4)


def arrays(dtype: np.dtype[Any], shape: tuple[int, ...]) -> st.SearchStrategy[np.ndarray]:
    """Return arrays of this type and shape, without NaN and infinities; strings if the type is ONNX's string."""
    if dtype == STRING:
        return npst.arrays(dtype, shape, elements=st.text(max_size=6), fill=st.nothing())
    elements = npst.from_dtype(dtype, allow_nan=False, allow_infinity=False)
    return npst.arrays(dtype, shape, elements=elements)


@st.composite
def requests(draw: st.DrawFn) -> tuple[list[list[np.ndarray]], list[int]]:
    """Return requests that can share a batch, each with one array per input, and the number of rows of each."""
    kinds = draw(st.lists(st.tuples(dtypes | st.just(STRING), row_shapes), min_size=1, max_size=3))
    rows = draw(st.lists(st.integers(1, 4), min_size=1, max_size=6))
    made = [[draw(arrays(dtype, (count, *row))) for dtype, row in kinds] for count in rows]
    return made, rows


@st.composite
def tensors_of_one_input(draw: st.DrawFn) -> tuple[Signature, np.ndarray]:
    """Return the signature of a batchable model with one input and an equal output, and rows for it."""
    dtype = draw(dtypes | st.just(STRING))
    row = draw(npst.array_shapes(min_dims=1, max_dims=3, max_side=3))
    array = draw(arrays(dtype, (draw(st.integers(1, 3)), *row)))
    spec = TensorSpec("x", dtype, ("batch", *row))
    return Signature((spec,), (TensorSpec("y", dtype, ("batch", *row)),)), array


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**65), 2**65)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=20,
)


def with_inputs(value: object) -> Mapping[str, object]:
    """Return the document of a predict request with a value as its inputs."""
    return {"inputs": value}
