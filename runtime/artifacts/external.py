"""The external data of an ONNX model: which files beside it hold its weights, and that they stay beside it.

A TensorProto may say that its bytes lie in another file (`external_data`, key `location`), relative to the model's
folder: https://github.com/onnx/onnx/blob/main/docs/ExternalData.md. A location is text in a file that somebody gave
us, so it must not lead anywhere else. This walks the file's protobuf along the few fields that lead to tensors and
skips all else.
Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

import mmap
import os
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from runtime.artifacts.download import read_back
from runtime.artifacts.policy import Part
from runtime.errors import ArtifactMissing, InvalidModel
from runtime.protobuf import Buffer, Field, length_delimited

KEY = b"location"
ORT_MAGIC = b"ORTM"  # ONNX Runtime's own flatbuffer format, at byte 4; it holds its weights itself

# Message -> field number -> the message in that field. Whatever is not here cannot lead to a tensor.
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
    """Return the confined locations of a model file's external data.

    Most models have none: whether the key is anywhere in the file is answered at memory speed, and ends it. Else the
    file is mapped, of which the walk touches little; never is it read into memory.
    Raises `InvalidModel` where the file is empty or cut off, or where a location leads out of the model's folder.
    """
    with path.open("rb", buffering=0) as file:
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            raise InvalidModel(uri, "the file is empty")
        if not mentions(read_back(file.fileno(), Part(0, size)), KEY):
            return frozenset()
        try:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as buffer:
                locations = external_locations(buffer)
        except ValueError as error:
            raise InvalidModel(uri, f"not an ONNX model: {error}") from error
    for location in locations:
        check_location(location, uri=uri)
    return locations


def mentions(pieces: Iterable[bytes], word: bytes) -> bool:
    """Whether the word is anywhere in the pieces put together, across their seams too."""
    tail = b""
    for piece in pieces:
        if word in piece or word in tail + piece[: len(word)]:
            return True
        tail = (tail + piece)[1 - len(word) :] if len(piece) < len(word) else piece[1 - len(word) :]
    return False


def external_locations(buffer: Buffer) -> frozenset[str]:
    """Return every location that the model's tensors name. Raises ValueError for bytes that are no message."""
    if buffer[4:8] == ORT_MAGIC:
        return frozenset()
    return frozenset(_walk(buffer, "Model", 0, len(buffer)))


def check_location(location: str, *, uri: str) -> None:
    """Raise `InvalidModel` for a location that could name anything but a file in the model's folder or below."""
    parts = location.split("/")
    escapes = location.startswith("/") or ".." in parts or "\\" in location or "\0" in location or ":" in parts[0]
    if escapes or PurePosixPath(location) == PurePosixPath():
        raise InvalidModel(
            uri,
            f"its external data is at {location!r}; expected a relative path inside the model's folder",
            location=location,
        )


def check_local(model: Path, locations: frozenset[str], *, uri: str) -> None:
    """Check the files beside a local model. Raises `ArtifactMissing`, and `InvalidModel` where a link leads outside."""
    folder = model.parent.resolve()
    for location in sorted(locations):
        target = (folder / location).resolve()
        if not target.is_relative_to(folder):
            reason = f"its external data {location!r} is a link out of the model's folder; expected a file inside it"
            raise InvalidModel(uri, reason, location=location)
        if not target.is_file():
            raise ArtifactMissing(uri, f"its external data {location!r} is not beside it", location=location)


def _walk(buffer: Buffer, message: str, start: int, end: int) -> Iterator[str]:
    """Yield the locations in the message at [start, end), with a stack of its own: nesting is the file's choice."""
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
    # As protobuf has it, the last value of a field that is given twice is the one that counts.
    values = {
        field.number: buffer[field.start : field.end] for field in length_delimited(buffer, entry.start, entry.end)
    }
    if values.get(1) == KEY:
        yield str(values.get(2, b""), "utf-8")
