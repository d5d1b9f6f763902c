"""Typed contents of a gRPC tensor to an array: InferTensorContents, one list of numbers for each kind of datatype.

protobuf parses a small message. This module parses a large one, because protobuf would hold the interpreter's lock
until it is done. The numbers of a large message must be packed, as proto3 packs them. Source: Open Inference Protocol,
"Tensor Contents".
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from runtime.errors import InvalidInput
from runtime.protocols.open_inference.datatypes import shaped, texts
from runtime.protocols.open_inference.interface import Tensor, elements
from runtime.protocols.open_inference.outline import MANY, fields

_STEP: Final = 1024 * 1024  # bytes of varints that are decoded at once; decoding needs some 40 times their memory
_FEW: Final = 50  # numbers: below, an iteration is faster than NumPy's conversion of a list
_MAX_VARINT: Final = 10  # bytes
_END: Final = 0x80  # a byte below it ends a varint
_BITS: Final = np.uint64(0x7F)  # the bits of the number in a byte of a varint


class Place(NamedTuple):
    """The field of InferTensorContents for a datatype."""

    name: str
    number: int
    wire: str | None  # NumPy's type of the packed numbers; None: they are not packed


_INT, _UINT = Place("int_contents", 2, "i8"), Place("uint_contents", 4, "u8")
PLACES: Final = {
    "BOOL": Place("bool_contents", 1, "u8"),
    "INT8": _INT,
    "INT16": _INT,
    "INT32": _INT,
    "INT64": Place("int64_contents", 3, "i8"),
    "UINT8": _UINT,
    "UINT16": _UINT,
    "UINT32": _UINT,
    "UINT64": Place("uint64_contents", 5, "u8"),
    "FP32": Place("fp32_contents", 6, "f4"),
    "FP64": Place("fp64_contents", 7, "f8"),
    "BYTES": Place("bytes_contents", 8, None),
}
_VARINTS: Final = {"i8", "u8"}


def read(contents: Any, tensor: Tensor, shape: tuple[int, ...]) -> np.ndarray:  # noqa: ANN401 - InferTensorContents
    """Return the tensor of a parsed message. Raises `InvalidInput`."""
    place = _place(tensor)
    values = getattr(contents, place.name)
    if place.wire is None:
        return _strings(values, tensor, shape)
    count = len(values)
    numbers = np.fromiter(values, place.wire, count) if count < _FEW else np.array(values, place.wire)
    return _numbers(numbers, tensor, shape, place)


def read_large(messages: Sequence[memoryview], tensor: Tensor, shape: tuple[int, ...]) -> np.ndarray:
    """Return the tensor of a serialized message in one or several parts. Raises `InvalidInput`."""
    place = _place(tensor)
    spans = _spans(messages, place.number)
    if place.wire is None:
        return _strings(spans, tensor, shape)
    field = f"inputs.{tensor.spec.name}.contents.{place.name}"
    parts = [part for span in spans for part in _unpacked(span, place.wire, field)]
    numbers = parts[0] if len(parts) == 1 else np.concatenate(parts) if parts else np.empty(0, place.wire)
    return _numbers(numbers, tensor, shape, place)


def varints(data: memoryview) -> np.ndarray:
    """Return the numbers of complete varints as uint64. Raises ValueError if one is longer than ten bytes."""
    content = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(content < _END)
    starts = np.empty_like(ends)
    starts[:1] = 0
    starts[1:] = ends[:-1] + 1
    lengths = ends - starts + 1
    longest = int(lengths.max(initial=0))
    if longest > _MAX_VARINT:
        raise ValueError(f"a number of {longest} bytes")
    values = content[starts] & _BITS
    for index in range(1, longest):
        longer = np.flatnonzero(lengths > index)
        values[longer] |= (content[starts[longer] + index] & _BITS) << np.uint64(7 * index)
    return values


def _place(tensor: Tensor) -> Place:
    found = PLACES.get(tensor.datatype or "")
    if found is None:
        field = f"inputs.{tensor.spec.name}.contents"
        expected = f"raw_input_contents, as there are no typed contents for {tensor.datatype}"
        raise InvalidInput(field, got="typed contents", expected=expected)
    return found


def _spans(messages: Sequence[memoryview], number: int) -> Iterator[memoryview]:
    """Yield the length-delimited fields of that number. Raises `InvalidInput`."""
    for message in messages:
        for found, content in fields(message, limit=MANY):
            if found == number:
                yield content


def _unpacked(span: memoryview, wire: str, field: str) -> Iterator[np.ndarray]:
    """Yield the packed numbers of a field; varints are in arrays of a bounded size. Raises `InvalidInput`."""
    try:
        if wire not in _VARINTS:
            array = np.frombuffer(span, wire)
            yield array if array.flags.aligned else array.copy()
            return
        for part in _whole_varints(span):
            yield varints(part).view(wire)
    except ValueError as error:
        raise InvalidInput(field, got=f"invalid packed numbers ({error})", expected="packed numbers") from error


def _whole_varints(span: memoryview) -> Iterator[memoryview]:
    """Yield pieces of about a megabyte that end with a complete number. Raises ValueError for an incomplete number."""
    at = 0
    while at < len(span):
        end = min(at + _STEP, len(span))
        while end > at and span[end - 1] >= _END:
            end -= 1
            if end + _MAX_VARINT < min(at + _STEP, len(span)):
                raise ValueError(f"a number of more than {_MAX_VARINT} bytes")
        if end == at or (at + _STEP >= len(span) and end != len(span)):
            raise ValueError("an unfinished number at the end")
        yield span[at:end]
        at = end


def _numbers(values: np.ndarray, tensor: Tensor, shape: tuple[int, ...], place: Place) -> np.ndarray:
    """Return the numbers in the input's element type.

    Raises `InvalidInput` for a wrong count, or if one does not fit.
    """
    spec = tensor.spec
    field = f"inputs.{spec.name}"
    _check_count(len(values), tensor, shape, place)
    if values.dtype == spec.dtype:
        return shaped(field, values, shape)
    cast = values.astype(spec.dtype)
    if spec.dtype.kind in "iu" and not np.array_equal(cast, values):
        index = int(np.flatnonzero(cast != values)[0])
        got = f"{values[index]} at {index}"
        raise InvalidInput(f"{field}.contents.{place.name}", got=got, expected=f"numbers of {tensor.datatype}")
    return shaped(field, cast, shape)


def _strings(values: Iterable[bytes | memoryview], tensor: Tensor, shape: tuple[int, ...]) -> np.ndarray:
    field = f"inputs.{tensor.spec.name}"
    array = texts(f"{field}.contents.bytes_contents", values)
    _check_count(len(array), tensor, shape, PLACES["BYTES"])
    return shaped(field, array, shape)


def _check_count(count: int, tensor: Tensor, shape: tuple[int, ...], place: Place) -> None:
    if count != elements(shape):
        field = f"inputs.{tensor.spec.name}.contents.{place.name}"
        expected = f"{elements(shape)} for shape {list(shape)} of {tensor.datatype}"
        raise InvalidInput(field, got=f"{count} elements", expected=expected)
