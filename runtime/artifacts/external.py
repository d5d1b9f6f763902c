"""The external data of an ONNX model: its locations, and the check that they are inside the model's folder.

A TensorProto may store its bytes in another file (`external_data`, key `location`), relative to the model's folder:
https://github.com/onnx/onnx/blob/main/docs/ExternalData.md. A location is untrusted text, so it must not name a file
outside the folder. This module reads only the protobuf fields that can contain tensors, and skips all others.
Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

import mmap
import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from runtime.artifacts.download import read_part
from runtime.artifacts.policy import Part
from runtime.errors import ArtifactMissing, InvalidModel
from runtime.protobuf import Buffer, Field, length_delimited

KEY = b"location"
LARGE = 64 * 1024  # bytes
GRAPH, INITIALIZER = 7, 5  # of Model, of Graph
ELEMENTS = frozenset({4, 5, 7, 9, 10, 11})  # of Tensor: float, int32, int64, raw, double and uint64 data
ORT_MAGIC = b"ORTM"  # at byte 4 of ONNX Runtime's flatbuffer format, which has no external data

# Message -> field number -> the message in that field. Other fields cannot contain a tensor.
FIELDS: dict[str, dict[int, str]] = {
    "Model": {7: "Graph", 20: "TrainingInfo", 25: "Function"},
    "TrainingInfo": {1: "Graph", 2: "Graph"},
    "Function": {7: "Node", 11: "Attribute"},
    "Graph": {1: "Node", 5: "Tensor", 15: "SparseTensor"},
    "Node": {5: "Attribute"},
    "Attribute": {5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 22: "SparseTensor", 23: "SparseTensor"},
    "SparseTensor": {1: "Tensor", 2: "Tensor"},
    "Tensor": {13: "Entry"},
}


def model_locations(path: Path, *, uri: str) -> frozenset[str]:
    """Return the checked locations of a model file's external data.

    Most models have none, which a search for the key detects. The search leaves out the elements of large weights,
    which are nearly all of a large file. If it finds the key, the walk over all fields reads a small part of the file.
    The file is never read into memory as a whole.
    Raises `InvalidModel` if the file is empty or truncated, or if a location is outside the model's folder.
    """
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            raise InvalidModel(uri, "the file is empty")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as buffer:
            parts = parts_to_search(buffer)
            if not contains_bytes((piece for part in parts for piece in read_part(file.fileno(), part)), KEY):
                return frozenset()
            try:
                locations = external_locations(buffer)
            except ValueError as error:
                raise InvalidModel(uri, f"not an ONNX model: {error}") from error
    for location in locations:
        check_location(location, uri=uri)
    return locations


def parts_to_search(buffer: Buffer) -> list[Part]:
    """Return the parts of a file that can contain a location: all but the elements of its large weights."""
    try:
        skipped = list(_large_elements(buffer))
    except ValueError:  # no protobuf message
        return [Part(0, len(buffer))]
    starts = [0, *(part.end for part in skipped)]
    ends = [*(part.start for part in skipped), len(buffer)]
    return [Part(start, end) for start, end in zip(starts, ends, strict=True)]


def _large_elements(buffer: Buffer) -> Iterator[Part]:
    """Yield the elements of each large weight in the main graph."""
    for graph in length_delimited(buffer, 0, len(buffer)):
        for tensor in length_delimited(buffer, graph.start, graph.end) if graph.number == GRAPH else ():
            if tensor.number == INITIALIZER and tensor.end - tensor.start >= LARGE:
                for field in length_delimited(buffer, tensor.start, tensor.end):
                    if field.number in ELEMENTS and field.end - field.start >= LARGE:
                        yield Part(field.start, field.end)


def contains_bytes(pieces: Iterable[bytes], word: bytes) -> bool:
    """Whether the concatenation of the pieces contains the word."""
    tail = b""
    for piece in pieces:
        if word in piece or word in tail + piece[: len(word)]:
            return True
        tail = (tail + piece)[1 - len(word) :] if len(piece) < len(word) else piece[1 - len(word) :]
    return False


def external_locations(buffer: Buffer) -> frozenset[str]:
    """Return the locations in the model's tensors. Raises ValueError if the bytes are not a protobuf message."""
    if buffer[4:8] == ORT_MAGIC:
        return frozenset()
    return frozenset(_walk(buffer, "Model", 0, len(buffer)))


def check_location(location: str, *, uri: str) -> None:
    """Raise `InvalidModel` for a location that may be outside the model's folder."""
    parts = location.split("/")
    escapes = location.startswith("/") or ".." in parts or "\\" in location or "\0" in location or ":" in parts[0]
    if escapes or PurePosixPath(location) == PurePosixPath():
        raise InvalidModel(
            uri,
            f"its external data is at {location!r}; expected a relative path inside the model's folder",
            location=location,
        )


def check_local(model: Path, locations: frozenset[str], *, uri: str) -> None:
    """Check the external data of a local model. Raises `ArtifactMissing`, and `InvalidModel` for a link to outside."""
    folder = model.parent.resolve()
    for location in sorted(locations):
        target = (folder / location).resolve()
        if not target.is_relative_to(folder):
            reason = (
                f"its external data {location!r} is a link to outside the model's folder; expected a file inside it"
            )
            raise InvalidModel(uri, reason, location=location)
        if not target.is_file():
            reason = f"its external data {location!r} is missing; expected a file in the model's folder"
            raise ArtifactMissing(uri, reason, location=location)


def _walk(buffer: Buffer, message: str, start: int, end: int) -> Iterator[str]:
    """Yield the locations in the message at [start, end). A list is the stack, because the file may nest deeply."""
    pending = [(message, start, end)]
    while pending:
        message, start, end = pending.pop()
        inner = FIELDS[message]
        for field in length_delimited(buffer, start, end):
            kind = inner.get(field.number)
            if kind == "Entry":
                yield from _location(buffer, field)
            elif kind is not None:
                pending.append((kind, field.start, field.end))


def _location(buffer: Buffer, entry: Field) -> Iterator[str]:
    # If a field occurs several times, protobuf uses its last value.
    values = {
        field.number: buffer[field.start : field.end] for field in length_delimited(buffer, entry.start, entry.end)
    }
    if values.get(1) == KEY:
        yield str(values.get(2, b""), "utf-8")
