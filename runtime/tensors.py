"""The types of an inference, which all protocols decode into and encode from.

    TensorSpec   one input or output of a model: its name, element type and shape
    Call         a decoded request: the model's name and the inputs, not yet checked against the model's signature
    Query        the tensors of one request, in the signature's order, and the caller's options for the answer
    Prediction   the outputs of one query, the model and version that computed them, and the times

All but the first are created for every request. They use plain slots, because creating a frozen dataclass takes four
times as long.

Every value is a NumPy array. A sequence is an array of objects with one item per element, so that a sequence with one
item per row can be split like a tensor. A map, or an optional value that is absent (None), is an array of objects
without axes.
"""

import math
from collections.abc import Sequence
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np

Dimension: TypeAlias = int | str | None  # a fixed size, a named dynamic axis, or an unnamed dynamic axis (None)
Shape: TypeAlias = tuple[Dimension, ...]
STRING: Final = np.dtype(object)  # ONNX Runtime represents strings as arrays of objects


class TensorSpec(NamedTuple):
    """One input or output.

    `shape` is () for a scalar, and None if the model does not state the rank. `containers` are the containers of the
    tensors, from the outside in: "optional", "sequence", "map of int64" or "map of string"; `dtype` is then the
    innermost element type, and `shape` is None. Source: ONNX IR, "Standard data types".
    """

    name: str
    dtype: np.dtype[np.generic]
    shape: Shape | None
    containers: tuple[str, ...] = ()

    @property
    def datatype(self) -> str:
        """The type's name: "string" or NumPy's name, in its containers, such as `sequence(map(int64, float32))`."""
        text = "string" if self.dtype == STRING else self.dtype.name
        for container in reversed(self.containers):
            word, _, key = container.partition(" of ")
            text = f"{word}({key}, {text})" if key else f"{word}({text})"
        return text

    @property
    def kind(self) -> str:
        """The outermost container ("sequence", "map", "optional"), or "tensor"."""
        return self.containers[0].partition(" ")[0] if self.containers else "tensor"

    @property
    def row_shape(self) -> tuple[int, ...] | None:
        """The shape of one row, without the first axis; None: an axis of it is dynamic."""
        if not self.shape:
            return None
        row = self.shape[1:]
        return row if all(isinstance(size, int) for size in row) else None  # type: ignore[return-value]

    @property
    def holds_rows(self) -> bool:
        """Whether the first axis may have any number of rows, or has one: a single row may then omit this axis."""
        if not self.shape:
            return False
        return not isinstance(self.shape[0], int) or self.shape[0] == 1

    def describe(self) -> str:
        """Return the type and shape as a text, such as `float32[batch, 30]`; `float32[]` is a scalar."""
        if self.containers:
            return self.datatype
        axes = "?" if self.shape is None else ", ".join("dynamic" if size is None else str(size) for size in self.shape)
        return f"{self.datatype}[{axes}]"


def as_array(value: object) -> np.ndarray:
    """Return a value that is no tensor as an array, in the form stated above; return an array unchanged."""
    if isinstance(value, np.ndarray):
        return value
    array: np.ndarray
    if not isinstance(value, list):
        array = np.empty((), dtype=object)
        array[()] = value
        return array
    array = np.empty(len(value), dtype=object)
    for index, each in enumerate(value):  # one by one: NumPy would make further axes of arrays that have one shape
        array[index] = each
    return array


class Call:
    """A decoded request."""

    __slots__ = ("deadline", "model", "parts", "size", "version")

    def __init__(self, model: str, version: str | int | None, parts: Any) -> None:  # noqa: ANN401 - the type depends on the protocol
        self.deadline = math.inf  # on the clock of `perf_counter`; inf: none
        self.model = model
        self.version = version  # its text or its number; None: the default version
        self.parts = parts
        self.size = 0  # bytes after decompression, if a message was compressed; 0: the size of the request's body


class Query:
    """One inference request, decoded and bound to a model's signature."""

    __slots__ = ("deadline", "form", "id", "outputs", "tensors", "trace")

    def __init__(
        self,
        tensors: Sequence[np.ndarray],
        *,
        form: object = None,
        outputs: Sequence[str] | None = None,
        id: str = "",  # noqa: A002 - the name of the field in the protocols
        deadline: float = math.inf,
        trace: str | None = None,
    ) -> None:
        self.tensors = tensors  # one array per input, in the signature's order, rows along the first axis
        self.form = form  # how to encode the answer; only the protocol that decoded the request reads it
        self.outputs = outputs  # names of the requested outputs; None: all
        self.id = id  # the caller's identifier of the request
        self.deadline = deadline  # on the clock of `perf_counter`; inf: the model's timeout applies
        self.trace = trace  # traceparent, W3C Trace Context


class Prediction:
    """The answer to one query. Durations are in seconds."""

    __slots__ = ("arrived", "batched", "model", "outputs", "queued", "ran", "version")

    def __init__(
        self,
        outputs: Sequence[np.ndarray],
        *,
        model: str,
        version: str,
        arrived: float,
        queued: float,
        batched: float,
        ran: float,
    ) -> None:
        self.outputs = outputs  # one array per output, in the signature's order
        self.model = model
        self.version = version
        self.arrived = arrived  # when the query was submitted, on the clock of `perf_counter`
        self.queued = queued  # the wait for its run
        self.batched = batched  # the time of stacking and splitting
        self.ran = ran  # the time in the session
