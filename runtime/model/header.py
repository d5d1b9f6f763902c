"""What a model file states about itself: format, versions, producer, and the element type of its weights.

    file -> mmap -> Model -> ModelHeader

Only the header and the head of each weight are read, without the `onnx` package. Field numbers:
https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

import mmap
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple

from runtime.model.graph import is_ort_format
from runtime.protobuf import Buffer, Field, length_delimited, number, varint_at

_IR_VERSION, _PRODUCER, _PRODUCER_VERSION, _MODEL_VERSION, _GRAPH, _OPSET = 1, 2, 3, 5, 7, 8  # of Model
_DOMAIN, _VERSION = 1, 2  # of OperatorSetId
_INITIALIZER: Final = 5  # of Graph
_DIMS, _DATA_TYPE = 1, 2  # of Tensor
STANDARD: Final = "ai.onnx"  # the domain that files write as ""
# TensorProto.DataType -> NumPy's name and the size of an element in bits. Integers of 32 and 64 bits are shapes and
# indices, not weights.
_WEIGHTS: Final = {
    1: ("float32", 32),
    2: ("uint8", 8),
    3: ("int8", 8),
    4: ("uint16", 16),
    5: ("int16", 16),
    10: ("float16", 16),
    11: ("float64", 64),
    16: ("bfloat16", 16),
    17: ("float8_e4m3fn", 8),
    18: ("float8_e4m3fnuz", 8),
    19: ("float8_e5m2", 8),
    20: ("float8_e5m2fnuz", 8),
    21: ("uint4", 4),
    22: ("int4", 4),
    23: ("float4_e2m1fn", 4),
    25: ("uint2", 2),
    26: ("int2", 2),
}


class ModelHeader(NamedTuple):
    """The facts of a file. All fields but the format are empty for ONNX Runtime's format, which is not read here."""

    format: str  # "onnx" or "ort"
    ir_version: int | None = None
    domains: Mapping[str, int] = MappingProxyType({})  # operator set -> version; "ai.onnx" is the standard's
    producer: str = ""  # the program that wrote the file, and its version
    producer_version: str = ""
    weights: str | None = None  # the element type with the most bytes among the weights; None: no weights

    @property
    def opset(self) -> int | None:
        """The version of the standard's operators; None: the model does not state one."""
        return self.domains.get(STANDARD)


def read_header(path: Path) -> ModelHeader:
    """Read the header of a model file. Raises ValueError if it is no protobuf message, and OSError."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as buffer:
        return header_of(buffer)


def read_version(path: Path) -> int | None:
    """Return the version that a model file states; None: it states none, or is not read here. Raises OSError."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as buffer:
            return None if is_ort_format(buffer) else number(buffer, 0, len(buffer), _MODEL_VERSION) or None
    except ValueError:  # ONNX Runtime reports what is wrong with the file
        return None


def header_of(buffer: Buffer) -> ModelHeader:
    """Return the header of a serialized model. Raises ValueError for bytes that are not a protobuf message."""
    if is_ort_format(buffer):
        return ModelHeader("ort")
    texts: dict[int, str] = {}
    domains: dict[str, int] = {}
    for part in length_delimited(buffer, 0, len(buffer)):
        if part.number in {_PRODUCER, _PRODUCER_VERSION}:
            texts[part.number] = text_of(buffer, part)
        elif part.number == _OPSET:
            domain, version = _operator_set(buffer, part)
            domains[domain] = version
    weights = _weight_bits(buffer)
    return ModelHeader(
        format="onnx",
        ir_version=number(buffer, 0, len(buffer), _IR_VERSION),
        domains=domains,
        producer=texts.get(_PRODUCER, ""),
        producer_version=texts.get(_PRODUCER_VERSION, ""),
        weights=max(weights, key=lambda name: weights[name], default=None),
    )


def _operator_set(buffer: Buffer, place: Field) -> tuple[str, int]:
    domain = ""
    for part in length_delimited(buffer, place.start, place.end):
        if part.number == _DOMAIN:
            domain = text_of(buffer, part)
    return domain or STANDARD, number(buffer, place.start, place.end, _VERSION) or 0


def initializers(buffer: Buffer) -> Iterator[Field]:
    """Yield the initializers of the main graph, its weights. Subgraphs are left out, because most have none."""
    for part in length_delimited(buffer, 0, len(buffer)):
        if part.number == _GRAPH:
            graph = length_delimited(buffer, part.start, part.end)
            yield from (each for each in graph if each.number == _INITIALIZER)


def text_of(buffer: Buffer, place: Field) -> str:
    """Return the text of a field. Invalid UTF-8 is replaced."""
    return bytes(buffer[place.start : place.end]).decode("utf-8", "replace")


def _weight_bits(buffer: Buffer) -> Counter[str]:
    """Count the bits of the weights by element type."""
    bits: Counter[str] = Counter()
    for each in initializers(buffer):
        name, size = _WEIGHTS.get(number(buffer, each.start, each.end, _DATA_TYPE) or 0, ("", 0))
        if name:
            bits[name] += size * _elements(buffer, each)
    return bits


def _elements(buffer: Buffer, tensor: Field) -> int:
    """Return the number of elements of a tensor, from its dimensions, as its bytes may be in another file."""
    count = 1
    for size in _dims(buffer, tensor):
        count *= size
    return count


def _dims(buffer: Buffer, tensor: Field) -> Iterator[int]:
    """Yield the dimensions. Writers pack them into one field, or write a field for each."""
    at = tensor.start
    while at < tensor.end:
        tag, at = varint_at(buffer, at, tensor.end)
        value, after = varint_at(buffer, at, tensor.end) if tag & 7 in {0, 2} else (0, at)
        if tag >> 3 == _DIMS and tag & 7 == 0:
            yield value
        elif tag >> 3 == _DIMS and tag & 7 == 2:  # noqa: PLR2004 - the wire type of a length
            packed = after
            while packed < after + value:
                size, packed = varint_at(buffer, packed, after + value)
                yield size
        at = {0: after, 1: at + 8, 2: after + value}.get(tag & 7, at + 4)
