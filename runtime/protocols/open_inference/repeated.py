"""A cache for requests that differ only in the numbers of their single raw tensor, as many clients send them.

protobuf writes the fields of a message in the order of their numbers, so the bytes before the tensor are the same each
time. Their parsed form is cached. The bytes of the tensor are checked like those of any other tensor.

    prefix                                                         tensor
    model_name, inputs[0].name, .datatype, .shape, outputs, ...    raw_input_contents[0]
"""

from collections.abc import Callable
from typing import Any, Final

from runtime import protobuf
from runtime.errors import InvalidInput
from runtime.model.signature import Signature

_RAW: Final = 7  # the number of raw_input_contents in ModelInferRequest
_MAX_MESSAGES: Final = 64  # clients send them, so their number and length must be bounded
_MAX_PREFIX: Final = 1024  # bytes before the tensor


class Repeated:
    """A message without its tensor. `bound` is the cached result of `bind` for `signature`."""

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
    """The cached messages, one for each size."""

    def __init__(self, parse: Callable[[bytes], Any]) -> None:
        """`parse` parses a ModelInferRequest, and raises `InvalidInput`."""
        self._parse = parse
        self._known: dict[int, Repeated] = {}

    def find(self, message: bytes | memoryview) -> Repeated | None:
        """Return the cached message with the same prefix and size, if there is one."""
        known = self._known.get(len(message))
        return known if known is not None and message[: known.start] == known.prefix else None

    def keep(self, message: bytes | memoryview, request: Any) -> None:  # noqa: ANN401 - as above
        """Cache a message, parsed as `request`, if it has a single raw tensor at its end, and no id or parameters."""
        tensors = request.raw_input_contents
        if len(tensors) != 1 or request.id or request.parameters:
            return
        size = len(tensors[0])
        start = len(message) - size
        head = protobuf.head(_RAW, size)
        if start > _MAX_PREFIX or message[start - len(head) : start] != head:
            return
        try:
            rest = self._parse(bytes(message[: start - len(head)]))
        except InvalidInput:  # the message ends with another field whose bytes look like the head of the tensor
            return
        if len(self._known) >= _MAX_MESSAGES:
            self._known.clear()
        self._known[len(message)] = Repeated(bytes(message[:start]), rest)
