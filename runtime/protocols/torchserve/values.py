"""What one value of a request holds: JSON, a NumPy array, or bytes. Pure.

A value says what it is by its content type, or shows it by its first bytes: `curl -T FILE` states no type at all, and
`curl -F data=@FILE` states application/octet-stream for most files.
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
_LOOK: Final = 256  # bytes in which a bracket must come: before and behind it may be space


class Part(NamedTuple):
    """One value as it came."""

    name: str
    data: memoryview
    kind: bytes = b""  # the content type in lower case, without parameters; empty: not stated
    octets: bool = False  # whether application/octet-stream is the client's own word, and not the default of a form
    text: bool = False  # whether it is a field of a form, and not a file


class Document(NamedTuple):
    """JSON. `text` is the JSON itself where it is small."""

    value: object
    text: bytes | None


class Raw(NamedTuple):
    """Bytes that are neither JSON nor a NumPy array. `fault`: why what looked like JSON is none."""

    data: memoryview
    text: bool
    fault: InvalidInput | None = None


Value: TypeAlias = Document | np.ndarray | Raw


def read(part: Part) -> Generator[None, None, Value]:
    """Read a value, in slices where it is large JSON.

    Raises `InvalidInput` where it is not what its content type says.
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
    """Whether the bytes begin and end as a JSON list or object does."""
    begin = bytes(data[:_LOOK]).lstrip(_SPACE)[:1]
    end = bytes(data[-_LOOK:]).rstrip(_SPACE)[-1:]
    return begin in _BRACKETS and end == _BRACKETS[begin]
