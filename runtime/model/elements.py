"""ONNX's element types and containers as NumPy types, and the range of numbers of each type.

Only this module imports ml_dtypes, which adds narrow types to NumPy (bfloat16, float8, 4 and 2 bits), and only for
models that use one. Source: onnx.proto, TensorProto.DataType and TypeProto.
"""

import math
from typing import Final, NamedTuple

import numpy as np

from runtime.errors import InvalidModel
from runtime.tensors import Dimension, TensorSpec

_NUMPY: Final = {
    "float": np.float32,
    "double": np.float64,
    "float16": np.float16,
    "int8": np.int8,
    "int16": np.int16,
    "int32": np.int32,
    "int64": np.int64,
    "uint8": np.uint8,
    "uint16": np.uint16,
    "uint32": np.uint32,
    "uint64": np.uint64,
    "bool": np.bool_,
    "string": object,
}


class Narrow(NamedTuple):
    """An element type that ml_dtypes adds to NumPy: its name there, its number in ONNX, and its size in a tensor."""

    name: str
    number: int
    bits: int


_NARROW: Final = {
    "bfloat16": Narrow("bfloat16", 16, 16),
    "float8e4m3fn": Narrow("float8_e4m3fn", 17, 8),
    "float8e4m3fnuz": Narrow("float8_e4m3fnuz", 18, 8),
    "float8e5m2": Narrow("float8_e5m2", 19, 8),
    "float8e5m2fnuz": Narrow("float8_e5m2fnuz", 20, 8),
    "uint4": Narrow("uint4", 21, 4),
    "int4": Narrow("int4", 22, 4),
    "float4e2m1": Narrow("float4_e2m1fn", 23, 4),
    "uint2": Narrow("uint2", 25, 2),
    "int2": Narrow("int2", 26, 2),
}
_BY_NAME: Final = {each.name: each for each in _NARROW.values()}
_BYTE: Final = 8  # bits
_CONTAINERS: Final = {"seq": "sequence", "optional": "optional"}


def spec_of(name: str, type_name: str, shape: list[Dimension], *, scalar: bool, uri: str) -> TensorSpec:
    """Convert ONNX Runtime's description of an input or output, such as `seq(map(int64,tensor(float)))`.

    ONNX Runtime's shape is [] both for a scalar and for an unknown rank; `scalar` distinguishes them. Raises
    `InvalidModel` for a type that is not supported.
    """
    containers: list[str] = []
    inner = type_name
    while not inner.startswith("tensor("):
        word, _, rest = inner.partition("(")
        inner = rest[:-1]
        if word == "map":
            key, _, inner = inner.partition(",")
            containers.append(f"map of {key}")
        elif word in _CONTAINERS:
            containers.append(_CONTAINERS[word])
        else:
            allowed = "expected tensors, sequences, maps and optional values"
            raise InvalidModel(uri, f"{name!r} has the type {type_name}; {allowed}")
    dtype = dtype_of(inner.removeprefix("tensor(").removesuffix(")"))
    if dtype is None:
        step = "export the model with a Cast to float at that place"
        raise InvalidModel(uri, f"{name!r} has the type {type_name}, which is not supported; {step}")
    if containers:
        return TensorSpec(name, dtype, None, tuple(containers))
    return TensorSpec(name, dtype, () if scalar else tuple(shape) or None)


def narrow(dtype: np.dtype[np.generic]) -> Narrow | None:
    """Return the narrow type, or None: a type that ONNX Runtime accepts from NumPy."""
    return None if dtype.isbuiltin == 1 else _BY_NAME.get(dtype.name)


def kind(dtype: np.dtype[np.generic]) -> str:
    """Return NumPy's letter for the kind of element ("f", "i", "u", "b", "O"), also for narrow types (NumPy: "V")."""
    if narrow(dtype) is None:
        return dtype.kind
    return {"i": "i", "u": "u"}.get(dtype.name[0], "f")


def whole_range(dtype: np.dtype[np.generic]) -> tuple[int, int]:
    """Return the smallest and the largest number of an integer type."""
    if narrow(dtype) is None:
        limits = np.iinfo(dtype)  # type: ignore[type-var] # an integer type
        return int(limits.min), int(limits.max)
    import ml_dtypes

    info = ml_dtypes.iinfo(dtype)  # type: ignore[no-untyped-call]
    return int(info.min), int(info.max)


def float_range(dtype: np.dtype[np.generic]) -> tuple[float, float]:
    """Return the largest number of a float type, and the smallest number that is rounded beyond it: half a step more.

    The second is infinity for float64, because every number of JSON fits.
    """
    if narrow(dtype) is not None:
        return _narrow_float_range(dtype)
    info = np.finfo(dtype)  # type: ignore[type-var] # a float type
    largest = float(info.max)
    return largest, largest + _half_a_step(largest, int(info.nmant)) if dtype != np.float64 else math.inf


def _narrow_float_range(dtype: np.dtype[np.generic]) -> tuple[float, float]:
    """Return the range slightly tighter: ml_dtypes first rounds float64 to float32, which may round up to the bound."""
    import ml_dtypes

    info = ml_dtypes.finfo(dtype)  # type: ignore[no-untyped-call]
    largest = float(info.max)
    bound = np.float32(largest + _half_a_step(largest, int(info.nmant)))
    return largest, float(np.nextafter(bound, np.float32(0)))


def _half_a_step(largest: float, mantissa_bits: int) -> float:
    return math.ldexp(0.5, math.frexp(largest)[1] - 1 - mantissa_bits)


def dtype_of(element: str) -> np.dtype[np.generic] | None:
    """Return the type of NumPy for an element type in ONNX Runtime's name, such as `float16`; None: not supported."""
    if element in _NUMPY:
        return np.dtype(_NUMPY[element])
    if element not in _NARROW:
        return None
    try:
        import ml_dtypes
    except ImportError:
        return None
    dtype: np.dtype[np.generic] = np.dtype(getattr(ml_dtypes, _NARROW[element].name))
    return dtype


def packed(array: np.ndarray) -> bytes:
    """Return the elements of a narrow type in ONNX's layout: 4-bit and 2-bit elements share bytes, low bits first."""
    bits = _BY_NAME[array.dtype.name].bits
    if bits >= _BYTE:
        return array.tobytes()
    codes = array.ravel().view(np.uint8) & (2**bits - 1)
    shares = _BYTE // bits
    codes = np.append(codes, np.zeros(-len(codes) % shares, np.uint8)).reshape(-1, shares)
    shared: np.ndarray = np.bitwise_or.reduce(codes << _shifts(bits), axis=1)
    return shared.astype(np.uint8).tobytes()


def unpacked(data: bytes, dtype: np.dtype[np.generic], shape: list[int]) -> np.ndarray:
    """Return the array of the bytes that `packed` returns."""
    bits = _BY_NAME[dtype.name].bits
    if bits >= _BYTE:
        return np.frombuffer(data, dtype).reshape(shape)
    codes: np.ndarray = (np.frombuffer(data, np.uint8)[:, np.newaxis] >> _shifts(bits)) & (2**bits - 1)
    codes = codes.ravel()[: math.prod(shape)]
    if kind(dtype) == "i":  # extend the sign, because ml_dtypes stores the element as a signed byte
        sign = 1 << bits - 1
        codes = ((codes ^ sign).astype(np.int8) - sign).astype(np.int8)
    return codes.view(dtype).reshape(shape)


def _shifts(bits: int) -> np.ndarray:
    return np.arange(0, _BYTE, bits, dtype=np.uint8)
