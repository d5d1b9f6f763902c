"""Parses one value of a request: JSON, a NumPy array, or bytes. Pure.

The content type or the first bytes decide which. The bytes are needed because `curl -T FILE` sends no content type, and
`curl -F data=@FILE` sends application/octet-stream for most files.
"""

from collections.abc import Generator
from typing import Final, NamedTuple, TypeAlias

import numpy as np

from runtime.errors import InvalidInput
from runtime.protocols.json import slices
from runtime.protocols.torchserve import npy

OCTETS: Final = b"application/octet-stream"
_NPY: Final = frozenset({b"application/x-npy", b"application/npy", b"application/x-numpy"})
_BRACKETS: Final = {b"[": b"]", b"{": b"}"}
_SPACE: Final = b" \t\r\n"
_MAX_SPACE: Final = 256  # bytes at both ends that must contain a bracket; the rest of them may be white space


class Part(NamedTuple):
    """One value before it is parsed."""

    name: str
    data: memoryview
    kind: bytes = b""  # the content type in lower case, without parameters; empty: not stated
    octets: bool = False  # whether the client chose application/octet-stream; in a form it may be a default
    text: bool = False  # whether it is a field of a form, not a file


class Document(NamedTuple):
    """A value that is JSON."""

    value: object
    text: bytes | None  # the JSON text of a small value


class Raw(NamedTuple):
    """Bytes that are neither JSON nor a NumPy array."""

    data: memoryview
    text: bool
    fault: InvalidInput | None = None  # the error of JSON's parser if the bytes are in brackets


Value: TypeAlias = Document | np.ndarray | Raw


def read(part: Part) -> Generator[None, None, Value]:
    """Parse a value, in steps if it is large JSON.

    Raises `InvalidInput` if the value is invalid for its content type.
    """
    if part.kind in _NPY or bytes(part.data[: len(npy.MAGIC)]) == npy.MAGIC:
        return npy.read(part.name, part.data)
    if part.kind == b"application/json" or part.kind.endswith((b"+json", b"/json")):
        return (yield from _document(part.data))
    text = part.text or part.kind.startswith(b"text/")
    if part.octets or not _in_brackets(part.data):
        return Raw(part.data, text)
    try:
        return (yield from _document(part.data))
    except InvalidInput as fault:
        return Raw(part.data, text, fault)


def _document(data: memoryview) -> Generator[None, None, Document]:
    value = yield from slices.parse(data)
    return Document(value, bytes(data) if len(data) <= slices.WINDOW else None)


def _in_brackets(data: memoryview) -> bool:
    """Return whether the bytes begin and end like a JSON list or object."""
    begin = bytes(data[:_MAX_SPACE]).lstrip(_SPACE)[:1]
    end = bytes(data[-_MAX_SPACE:]).rstrip(_SPACE)[-1:]
    return begin in _BRACKETS and end == _BRACKETS[begin]
