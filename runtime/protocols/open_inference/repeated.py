"""Requests that differ in nothing but the numbers of their one raw tensor, as a client sends them again and again.

protobuf writes the fields of a message in the order of their numbers, so all that comes before the bytes of the tensor
is the same each time. Its meaning is remembered and not read again; the bytes are checked as those of any other tensor.

    prefix                                                         tensor
    model_name, inputs[0].name, .datatype, .shape, outputs, ...    raw_input_contents[0]
"""

from collections.abc import Callable
from typing import Any, Final

from runtime import protobuf
from runtime.errors import InvalidInput
from runtime.model.signature import Signature

_RAW: Final = 7  # the number of raw_input_contents in ModelInferRequest
_MOST: Final = 64  # messages; they come from clients, so their number and length must be bounded
_LONGEST: Final = 1024  # bytes before the tensor


class Repeated:
    """A message without its tensor. `bound` is what `bind` has found for `signature`, for the next one."""

    __slots__ = ("bound", "model", "prefix", "request", "signature", "start", "version")

    def __init__(self, prefix: bytes, request: Any) -> None:  # noqa: ANN401 - ModelInferRequest
        self.prefix = prefix
        self.start = len(prefix)  # of the tensor
        self.request = request
        self.model: str = request.model_name
        self.version: str | None = request.model_version or None
        self.signature: Signature | None = None
        self.bound: Any = None


class Memory:
    """The last such messages, by their size. `parse` makes a ModelInferRequest, and raises `InvalidInput`."""

    def __init__(self, parse: Callable[[bytes], Any]) -> None:
        self._parse = parse
        self._known: dict[int, Repeated] = {}

    def find(self, message: bytes | memoryview) -> Repeated | None:
        """What the message repeats."""
        known = self._known.get(len(message))
        return known if known is not None and message[: known.start] == known.prefix else None

    def keep(self, message: bytes | memoryview, request: Any) -> None:  # noqa: ANN401 - as above
        """Remember a message that `parse` made the request of, where the next one may repeat it."""
        tensors = request.raw_input_contents
        if len(tensors) != 1 or request.id or request.parameters:
            return
        size = len(tensors[0])
        start = len(message) - size
        head = protobuf.head(_RAW, size)
        if start > _LONGEST or message[start - len(head) : start] != head:
            return
        try:
            rest = self._parse(bytes(message[: start - len(head)]))
        except InvalidInput:  # the message ends with another field, in which this looks like the tensor
            return
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[len(message)] = Repeated(bytes(message[:start]), rest)
