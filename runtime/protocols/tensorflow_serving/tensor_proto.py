"""TensorProto messages to NumPy arrays, and back. Pure.

    tensor_content    the bytes of all elements, little endian, in row-major order; used if both forms are present
    float_val, ...    the elements in the field of their type; if there are fewer than the shape needs, the last one
                      fills the rest; if there are none, all are zero

An answer has its elements in the field of their type, as in TensorFlow Serving: clients read `float_val` and the other
fields by name. The checks are stricter than TensorFlow's, which ignores extra elements and truncates numbers out of
range.
Sources: tensorflow/core/framework/tensor.proto and tensor.cc, `Tensor::FromProto`, `Tensor::AsProtoField`.
"""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np

from runtime.errors import InvalidInput
from runtime.model import elements
from runtime.protobuf import delimited, head, varint, varint_at
from runtime.protocols.outline import MANY, outline, pieces
from runtime.protocols.tensorflow_serving import messages
from runtime.protocols.tensorflow_serving.signature import DataType, data_type
from runtime.protocols.tensorflow_serving.varints import packed
from runtime.tensors import STRING, TensorSpec


class _Field(NamedTuple):
    """The field of TensorProto for the elements of a type, and the type of its numbers."""

    name: str
    number: int
    dtype: np.dtype[np.generic] = STRING


class _Form(NamedTuple):
    """An element type in TensorFlow, and its field of TensorProto."""

    type: DataType
    field: _Field


_FLOAT: Final = _Field("float_val", 5, np.dtype("<f4"))
_DOUBLE: Final = _Field("double_val", 6, np.dtype("<f8"))
_INT: Final = _Field("int_val", 7, np.dtype(np.int32))
_STRING: Final = _Field("string_val", 8)
_HALF: Final = _Field("half_val", 13, np.dtype(np.int32))
_FLOAT8: Final = _Field("float8_val", 18)
_FIELDS: Final = {
    "float32": _FLOAT,
    "float64": _DOUBLE,
    "object": _STRING,
    "int64": _Field("int64_val", 10, np.dtype(np.int64)),
    "bool": _Field("bool_val", 11, np.dtype(np.bool_)),
    "float16": _HALF,
    "bfloat16": _HALF,
    "uint32": _Field("uint32_val", 16, np.dtype(np.uint32)),
    "uint64": _Field("uint64_val", 17, np.dtype(np.uint64)),
    **dict.fromkeys(("int8", "int16", "int32", "uint8", "uint16", "int2", "int4", "uint2", "uint4"), _INT),
}
_CONTENT: Final = 4  # the field tensor_content
_OTHERS: Final = ("scomplex_val", "dcomplex_val")
_ALL: Final = tuple(dict.fromkeys((*_FIELDS.values(), _FLOAT8)))
_LARGE: Final = frozenset((_CONTENT, *(field.number for field in _ALL)))  # fields that can be large
_AXES: Final = 64  # NumPy's limit
_HALVES: Final = 0xFFFF  # the largest bits of a half

Spans = Mapping[int, list[memoryview]]  # the contents of fields, by field number


def read(name: str, tensor: Any, spec: TensorSpec, *, limit: int) -> np.ndarray:  # noqa: ANN401 - see below
    """Return the array, possibly read-only, of a TensorProto or the memoryview of a serialized one, for an input.

    `limit` bounds the bytes of the array, as a few bytes of a message can describe a tensor of any size.
    Raises `InvalidInput`.
    """
    spans: Spans = {}
    if isinstance(tensor, memoryview):
        rest, spans = outline(tensor, _LARGE, limit=MANY)
        tensor = messages.parsed("TensorProto", rest)
    received, required = tensor.dtype, _form(spec.dtype).type
    if received != required.number:
        expected = f"{required.name}, for {spec.describe()}"
        raise InvalidInput(f"inputs.{name}.dtype", got=_type_name(received), expected=expected)
    shape = _shape(f"inputs.{name}.tensor_shape", tensor.tensor_shape, spec, limit)
    count = math.prod(shape)
    content = spans[_CONTENT][-1] if _CONTENT in spans else tensor.tensor_content
    if len(content):
        return _from_content(f"inputs.{name}.tensor_content", content, count, spec.dtype).reshape(shape)
    return _filled(f"inputs.{name}", _elements(f"inputs.{name}", tensor, spans, spec.dtype), count).reshape(shape)


def write(array: np.ndarray) -> list[bytes]:
    """Return one serialized TensorProto in pieces."""
    described = _described(array.dtype, array.shape)
    if not array.size:
        return [described]
    if array.dtype == STRING:
        return [described, *(delimited(_STRING.number, text.encode()) for text in array.reshape(-1))]
    field = _form(array.dtype).field
    content = _written(array, field)
    return [described + head(field.number, len(content)), content]


@lru_cache(1024)
def _described(dtype: np.dtype[np.generic], shape: tuple[int, ...]) -> bytes:
    dims = b"".join(delimited(2, b"\x08" + varint(size) if size else b"") for size in shape)
    return b"\x08" + varint(_form(dtype).type.number) + delimited(2, dims)


@lru_cache(64)
def _form(dtype: np.dtype[np.generic]) -> _Form:
    return _Form(data_type(dtype), _FIELDS.get(dtype.name, _FLOAT8))


def _written(array: np.ndarray, field: _Field) -> bytes:
    if field is _HALF:
        return packed(array.reshape(-1).view(np.uint16))
    if field.dtype.kind in "iu":
        return packed(array.reshape(-1).astype(field.dtype, copy=False))
    return array.tobytes()  # little endian, as all supported processors are; a bool is one byte as a varint too


def _shape(field: str, proto: Any, spec: TensorSpec, limit: int) -> tuple[int, ...]:  # noqa: ANN401 - TensorShapeProto
    """Return the sizes. Raises `InvalidInput` if they are unknown or negative, or need more than `limit` bytes."""
    axes = len(proto.dim)
    if proto.unknown_rank or axes > _AXES:
        got = "unknown_rank" if proto.unknown_rank else f"{axes} axes"
        raise InvalidInput(field, got=got, expected=f"the sizes of at most {_AXES} axes")
    shape = tuple(dim.size for dim in proto.dim)
    if any(size < 0 for size in shape):
        raise InvalidInput(field, got=f"{list(shape)}", expected="sizes from 0")
    size = math.prod(max(each, 1) for each in shape) * spec.dtype.itemsize
    if size > limit:
        raise InvalidInput(field, got=f"{list(shape)}, which needs {size} bytes", expected=f"at most {limit} bytes")
    return shape


def _from_content(field: str, content: bytes | memoryview, count: int, dtype: np.dtype[np.generic]) -> np.ndarray:
    if dtype == STRING:
        return _strings(field, _content_strings(field, memoryview(content), count))
    if len(content) != count * dtype.itemsize:
        expected = f"{count * dtype.itemsize} for {count} elements of {data_type(dtype).name}"
        raise InvalidInput(field, got=f"{len(content)} bytes", expected=expected)
    if dtype == np.bool_:
        flags: np.ndarray = np.frombuffer(content, np.uint8) != 0
        return flags
    array: np.ndarray = np.frombuffer(content, dtype)
    return array if array.flags.aligned else array.copy()


def _content_strings(field: str, content: memoryview, count: int) -> list[bytes]:
    """Return the strings of a tensor_content: all lengths as varints, then all bytes. Raises `InvalidInput`."""
    lengths, at = [], 0
    try:
        for _ in range(count):
            length, at = varint_at(content, at, len(content))
            lengths.append(length)
    except ValueError as error:
        raise InvalidInput(field, got=f"{error}", expected=f"the lengths of {count} strings") from error
    if at + sum(lengths) != len(content):
        expected = f"{at + sum(lengths)} for strings of these lengths"
        raise InvalidInput(field, got=f"{len(content)} bytes", expected=expected)
    found = []
    for length in lengths:
        found.append(bytes(content[at : at + length]))
        at += length
    return found


def _elements(name: str, tensor: Any, spans: Spans, dtype: np.dtype[np.generic]) -> np.ndarray:  # noqa: ANN401
    """Return the elements in the field of their type, however many there are. Raises `InvalidInput`."""
    field = _form(dtype).field
    values, large = getattr(tensor, field.name), spans.get(field.number, [])
    if not len(values) and not large:
        _check_no_others(name, tensor, spans, field, dtype)
    if field is _STRING:
        return _strings(f"{name}.{field.name}", large or values)
    if field is _FLOAT8:
        return np.frombuffer(large[-1] if large else values, dtype)
    return _cast(f"{name}.{field.name}", _numbers(f"{name}.{field.name}", field, values, large), dtype)


def _check_no_others(
    name: str,
    tensor: object,
    spans: Spans,
    field: _Field,
    dtype: np.dtype[np.generic],
) -> None:
    """Check that no field of another type has elements; TensorFlow would use zeros. Raises `InvalidInput`."""
    others = [each.name for each in _ALL if spans.get(each.number) or len(getattr(tensor, each.name))]
    others += [each for each in _OTHERS if len(getattr(tensor, each))]
    if others:
        expected = f"tensor_content or {field.name}, for {data_type(dtype).name}"
        raise InvalidInput(name, got=f"elements in {others[0]}", expected=expected)


def _numbers(field: str, of: _Field, values: Any, large: list[memoryview]) -> np.ndarray:  # noqa: ANN401 - repeated
    """Return the numbers in the type of the field. Raises `InvalidInput`."""
    if not large:
        return np.array(values, of.dtype)
    if len(values):
        raise InvalidInput(field, got="both packed and unpacked numbers", expected="packed numbers only")
    if of.dtype.kind == "f":
        if any(len(span) % of.dtype.itemsize for span in large):
            raise InvalidInput(field, got="an incomplete number", expected=f"packed {of.dtype.name}")
        parts = [np.require(np.frombuffer(span, of.dtype), requirements="A") for span in large]
    else:
        parts = [_parsed(of, piece) for span in large for piece in pieces(span)]
    return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, of.dtype), *parts])


def _parsed(field: _Field, packed: memoryview) -> np.ndarray:
    tensor = messages.parsed("TensorProto", delimited(field.number, bytes(packed)))
    return np.array(getattr(tensor, field.name), field.dtype)


def _cast(field: str, numbers: np.ndarray, dtype: np.dtype[np.generic]) -> np.ndarray:
    """Return the numbers in the tensor's own type. Raises `InvalidInput` if a number does not fit."""
    if numbers.dtype == dtype:
        return numbers
    is_half = field.endswith(_HALF.name)
    least, most = (0, _HALVES) if is_half else elements.whole_range(dtype)
    if numbers.size and not least <= int(numbers.min()) <= int(numbers.max()) <= most:
        expected = f"{least} to {most}, for {data_type(dtype).name}"
        raise InvalidInput(field, got=f"{int(numbers.min())} to {int(numbers.max())}", expected=expected)
    return numbers.astype(np.uint16).view(dtype) if is_half else numbers.astype(dtype)


def _strings(field: str, values: Sequence[bytes | memoryview]) -> np.ndarray:
    texts: list[str] = []
    for value in values:
        try:
            texts.append(str(value, "utf-8"))
        except UnicodeDecodeError:
            raise InvalidInput(f"{field}[{len(texts)}]", got="bytes that are not UTF-8", expected="UTF-8") from None
    array = np.empty(len(texts), object)
    array[:] = texts
    return array


def _filled(name: str, values: np.ndarray, count: int) -> np.ndarray:
    """Return `count` elements: the last one fills the rest. Raises `InvalidInput` if there are more."""
    received = len(values)
    if received == count:
        return values
    if received > count:
        raise InvalidInput(name, got=f"{received} elements", expected=f"at most {count}, as its shape states")
    last = values[-1] if received else "" if values.dtype == STRING else values.dtype.type(0)
    filled = np.full(count, last, values.dtype)
    filled[:received] = values
    return filled


def _type_name(number: int) -> str:
    names = messages.message_class("DataType")
    return str(names.Name(number)) if number in names.values() else f"data type {number}"
