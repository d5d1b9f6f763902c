"""Splits a large ModelInferRequest into its tensors, which are not copied, and the small rest.

protobuf copies a message when it parses it and each tensor again when it is read, and holds the interpreter's lock
meanwhile: half a second for 30 MB. A message of many small fields needs ten times its size of memory. Therefore
protobuf parses only the small rest, within a limit. The split skips over the tensors.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from runtime import protobuf
from runtime.errors import InvalidInput

SMALL: Final = 64 * 1024  # bytes of a message, or of the rest of a large one: protobuf parses them in a millisecond
FEW: Final = 4096  # fields of a message that is split on the event loop
MANY: Final = 1_000_000  # fields of a message, or strings of a tensor, that is parsed on a thread
_INPUTS, _RAW = 5, 7  # of ModelInferRequest
_KEPT: Final = frozenset(range(1, 7))
_CONTENTS: Final = 5  # of InferInputTensor


class Outline(NamedTuple):
    """A message, split."""

    rest: bytes  # the message without its tensors
    raw: list[memoryview]  # the raw tensors
    typed: dict[int, list[memoryview]]  # the typed tensors by the index of their input; protobuf merges several parts


def outline(message: memoryview) -> Outline:
    """Split a message. Raises `InvalidInput` if it is malformed, has too many fields, or its rest exceeds 64 KiB."""
    rest: list[bytes] = []
    raw: list[memoryview] = []
    typed: dict[int, list[memoryview]] = {}
    inputs = size = 0
    for number, content in fields(message):
        if number == _RAW:
            raw.append(content)
            continue
        if number not in _KEPT:
            continue
        kept = content if number != _INPUTS else _without_contents(content, typed, inputs)
        inputs += number == _INPUTS
        size += len(kept)
        if size > SMALL:
            got = f"more than {SMALL} bytes besides the tensors"
            raise InvalidInput("message", got=got, expected=f"at most {SMALL} of names, shapes and parameters")
        rest.append(protobuf.delimited(number, bytes(kept)))
    return Outline(b"".join(rest), raw, typed)


def _without_contents(message: memoryview, typed: dict[int, list[memoryview]], index: int) -> bytes:
    """Return an InferInputTensor without its contents, and add these to `typed`. Raises `InvalidInput`."""
    rest = []
    size = 0
    for number, content in fields(message):
        if number == _CONTENTS:
            typed.setdefault(index, []).append(content)
        else:
            rest.append((number, content))
            size += len(content)
    if size > SMALL:
        got = f"{size} bytes besides the contents"
        raise InvalidInput(f"inputs[{index}]", got=got, expected=f"at most {SMALL} of names, shapes and parameters")
    return b"".join(protobuf.delimited(number, bytes(content)) for number, content in rest)


def fields(message: memoryview, *, limit: int = FEW) -> Iterator[tuple[int, memoryview]]:
    """Yield the length-delimited fields of a message; all fields that the callers use are of this kind.

    Raises `InvalidInput` if the message is malformed, or has more than `limit` fields of any kind.
    """
    try:
        for index, part in enumerate(protobuf.parts(message)):
            if index == limit:
                raise InvalidInput("message", got=f"more than {limit} fields", expected=f"at most {limit}")
            if part.kind == protobuf.BYTES:
                yield part.number, message[part.start : part.end]
    except ValueError as error:
        raise InvalidInput("message", got=f"invalid protobuf ({error})", expected="a ModelInferRequest") from error
