"""TensorProto: what gRPC clients send and get, as NumPy has it. Pure.

    tensor_content    the bytes of all elements, little endian, row after row; it counts where both forms are there
    float_val, ...    the elements one by one, in the field of their type
                      fewer than the shape takes: the last one fills the rest; none at all: zeros

An answer has its elements in the field of their type, as TensorFlow Serving answers: clients read `float_val` and its
kin by name. Elements are checked more strictly than by TensorFlow, which cuts off what is too many or out of range.
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
    """The field of TensorProto that has a type's elements, and the type that its numbers have there."""

    name: str
    number: int
    dtype: np.dtype[np.generic] = STRING


class _Form(NamedTuple):
    """How TensorFlow has an element type."""

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
_TAKEN: Final = frozenset((_CONTENT, *(field.number for field in _ALL)))
_AXES: Final = 64  # as many as NumPy has
_HALVES: Final = 0xFFFF  # the largest bits of a half

Spans = Mapping[int, list[memoryview]]  # the contents of fields, by their numbers


def read(name: str, tensor: Any, spec: TensorSpec, *, limit: int) -> np.ndarray:  # noqa: ANN401 - see below
    """The array of a TensorProto, or of the memoryview of a serialized one, for an input; perhaps read-only.

    `limit` bounds the bytes of the array, as a few bytes may stand for any shape. Raises `InvalidInput`.
    """
    spans: Spans = {}
    if isinstance(tensor, memoryview):
        rest, spans = outline(tensor, _TAKEN, most=MANY)
        tensor = messages.parsed("TensorProto", rest)
    given, right = tensor.dtype, _form(spec.dtype).type
    if given != right.number:
        expected = f"{right.name}, for {spec.describe()}"
        raise InvalidInput(f"inputs.{name}.dtype", got=_type_name(given), expected=expected)
    shape = _shape(f"inputs.{name}.tensor_shape", tensor.tensor_shape, spec, limit)
    count = math.prod(shape)
    content = spans[_CONTENT][-1] if _CONTENT in spans else tensor.tensor_content
    if len(content):
        return _from_content(f"inputs.{name}.tensor_content", content, count, spec.dtype).reshape(shape)
    return _filled(f"inputs.{name}", _elements(f"inputs.{name}", tensor, spans, spec.dtype), count).reshape(shape)


def write(array: np.ndarray) -> list[bytes]:
    """A serialized TensorProto, in pieces that belong together."""
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
    return array.tobytes()  # little endian, as every processor here; a bool takes a byte as a varint too


def _shape(field: str, proto: Any, spec: TensorSpec, limit: int) -> tuple[int, ...]:  # noqa: ANN401 - TensorShapeProto
    """The sizes. Raises `InvalidInput` where they are not known, or stand for too much."""
    axes = len(proto.dim)
    if proto.unknown_rank or axes > _AXES:
        got = "unknown_rank" if proto.unknown_rank else f"{axes} axes"
        raise InvalidInput(field, got=got, expected=f"the sizes of at most {_AXES} axes")
    shape = tuple(dim.size for dim in proto.dim)
    if any(size < 0 for size in shape):
        raise InvalidInput(field, got=f"{list(shape)}", expected="sizes from 0")
    size = math.prod(max(each, 1) for each in shape) * spec.dtype.itemsize
    if size > limit:
        raise InvalidInput(field, got=f"{list(shape)}, which takes {size} bytes", expected=f"at most {limit} bytes")
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
    """The strings of a tensor_content: all their lengths as varints, then all their bytes."""
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
    """The elements in the field of their type, as many as there are. Raises `InvalidInput`."""
    field = _form(dtype).field
    values, taken = getattr(tensor, field.name), spans.get(field.number, [])
    if not len(values) and not taken:
        _check_no_others(name, tensor, spans, field, dtype)
    if field is _STRING:
        return _strings(f"{name}.{field.name}", taken or values)
    if field is _FLOAT8:
        return np.frombuffer(taken[-1] if taken else values, dtype)
    return _cast(f"{name}.{field.name}", _numbers(f"{name}.{field.name}", field, values, taken), dtype)


def _check_no_others(
    name: str,
    tensor: object,
    spans: Spans,
    field: _Field,
    dtype: np.dtype[np.generic],
) -> None:
    """Refuse elements in the field of another type; TensorFlow would take zeros."""
    others = [each.name for each in _ALL if spans.get(each.number) or len(getattr(tensor, each.name))]
    others += [each for each in _OTHERS if len(getattr(tensor, each))]
    if others:
        expected = f"tensor_content or {field.name}, for {data_type(dtype).name}"
        raise InvalidInput(name, got=f"elements in {others[0]}", expected=expected)


def _numbers(field: str, of: _Field, values: Any, taken: list[memoryview]) -> np.ndarray:  # noqa: ANN401 - repeated
    """The numbers as protobuf has them. Raises `InvalidInput`."""
    if not taken:
        return np.array(values, of.dtype)
    if len(values):
        raise InvalidInput(field, got="numbers packed and one by one", expected="one form of them")
    if of.dtype.kind == "f":
        if any(len(span) % of.dtype.itemsize for span in taken):
            raise InvalidInput(field, got="bytes that are no whole numbers", expected=f"packed {of.dtype.name}")
        parts = [np.require(np.frombuffer(span, of.dtype), requirements="A") for span in taken]
    else:
        parts = [_parsed(of, piece) for span in taken for piece in pieces(span)]
    return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, of.dtype), *parts])


def _parsed(field: _Field, packed: memoryview) -> np.ndarray:
    tensor = messages.parsed("TensorProto", delimited(field.number, bytes(packed)))
    return np.array(getattr(tensor, field.name), field.dtype)


def _cast(field: str, numbers: np.ndarray, dtype: np.dtype[np.generic]) -> np.ndarray:
    """The numbers in the tensor's own type. Raises `InvalidInput` where one does not fit."""
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
    """As many elements as the shape takes. Raises `InvalidInput` where there are more."""
    given = len(values)
    if given == count:
        return values
    if given > count:
        raise InvalidInput(name, got=f"{given} elements", expected=f"at most {count}, as its shape states")
    last = values[-1] if given else "" if values.dtype == STRING else values.dtype.type(0)
    filled = np.full(count, last, values.dtype)
    filled[:given] = values
    return filled


def _type_name(number: int) -> str:
    names = messages.message_class("DataType")
    return str(names.Name(number)) if number in names.values() else f"data type {number}"
