"""The vocabulary of an inference: what every protocol decodes into and encodes from.

    Call         which model a request asks, and what it asks, not yet held against the model's signature
    Query        the tensors of one request, in the signature's order, and what its caller wants of the answer
    Prediction   the outputs of one query, which model made them, and where the time went

They are made for every request: plain slots, as a frozen dataclass takes four times as long to make.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np


class Call:
    """A decoded request."""

    __slots__ = ("model", "parts", "version")

    def __init__(self, model: str, version: str | None, parts: Any) -> None:  # noqa: ANN401 - the protocol's own
        self.model = model
        self.version = version  # None: the one that is served
        self.parts = parts


class Query:
    """One inference request, decoded and bound to a model's signature."""

    __slots__ = ("deadline", "form", "id", "outputs", "tensors", "trace")

    def __init__(
        self,
        tensors: Sequence[np.ndarray],
        *,
        form: object = None,
        outputs: Sequence[str] | None = None,
        id: str = "",  # noqa: A002 - the field's name in every protocol that has it
        deadline: float = math.inf,
        trace: str | None = None,
    ) -> None:
        self.tensors = tensors  # one array per input, in the signature's order, rows along the first axis
        self.form = form  # how to encode the answer; only the protocol that decoded the request reads it
        self.outputs = outputs  # names of the outputs wanted; None: all
        self.id = id  # the caller's own name for the request
        self.deadline = deadline  # on `perf_counter`'s clock; inf: the model's own timeout
        self.trace = trace  # traceparent, W3C Trace Context


class Prediction:
    """The answer to one query. Durations in seconds."""

    __slots__ = ("arrived", "batched", "model", "outputs", "queued", "ran", "version")

    def __init__(
        self,
        outputs: Sequence[object],
        *,
        model: str,
        version: str,
        arrived: float,
        queued: float,
        batched: float,
        ran: float,
    ) -> None:
        self.outputs = outputs  # one value per output, in the signature's order
        self.model = model
        self.version = version
        self.arrived = arrived  # when the query was submitted, on `perf_counter`'s clock
        self.queued = queued  # waiting for its run
        self.batched = batched  # stacking and splitting
        self.ran = ran  # in the session
