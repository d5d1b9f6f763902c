"""A large ModelInferRequest, parted into its tensors, which stay where they are, and the little else.

protobuf copies a message as it parses it, copies each tensor again when it is asked for, and holds the interpreter's
lock meanwhile: half a second for 30 MB. A message of many small fields takes ten times its size of memory. So only the
little else is parsed, within a limit; looking for it skips over the tensors.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from runtime import protobuf
from runtime.errors import InvalidInput

SMALL: Final = 64 * 1024  # bytes: a message, or the little else of a large one, that protobuf parses in a millisecond
FEW: Final = 4096  # fields of a message that are looked at on the event loop
MANY: Final = 1_000_000  # fields of a message, or strings of a tensor, that are looked at on a thread
_INPUTS, _RAW = 5, 7  # of ModelInferRequest
_KEPT: Final = frozenset(range(1, 7))
_CONTENTS: Final = 5  # of InferInputTensor


class Outline(NamedTuple):
    """The message without its tensors, the raw ones, and the typed ones by the number of their input.

    A typed tensor is one message or several that belong together.
    """

    rest: bytes
    raw: list[memoryview]
    typed: dict[int, list[memoryview]]


def outline(message: memoryview) -> Outline:
    """Part a message. Raises `InvalidInput` where it is malformed, or has too much that is no tensor."""
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
            got = f"more than {SMALL} bytes that are no tensors"
            raise InvalidInput("message", got=got, expected=f"at most {SMALL} of names, shapes and parameters")
        rest.append(protobuf.delimited(number, bytes(kept)))
    return Outline(b"".join(rest), raw, typed)


def _without_contents(message: memoryview, typed: dict[int, list[memoryview]], index: int) -> bytes:
    """An InferInputTensor without its contents, which go to `typed`; a small one is kept as it is."""
    rest = []
    size = 0
    for number, content in fields(message):
        if number == _CONTENTS:
            typed.setdefault(index, []).append(content)
        else:
            rest.append((number, content))
            size += len(content)
    if size > SMALL:
        got = f"{size} bytes that are no contents"
        raise InvalidInput(f"inputs[{index}]", got=got, expected=f"at most {SMALL} of names, shapes and parameters")
    return b"".join(protobuf.delimited(number, bytes(content)) for number, content in rest)


def fields(message: memoryview, *, most: int = FEW) -> Iterator[tuple[int, memoryview]]:
    """The length-delimited fields: of these messages, all that are known.

    Raises `InvalidInput` where the message is malformed, or has more than `most` fields of whatever kind.
    """
    try:
        for index, part in enumerate(protobuf.parts(message)):
            if index == most:
                raise InvalidInput("message", got=f"more than {most} fields", expected=f"at most {most}")
            if part.kind == protobuf.BYTES:
                yield part.number, message[part.start : part.end]
    except ValueError as error:
        raise InvalidInput("message", got=f"no protobuf ({error})", expected="a ModelInferRequest") from error
