"""The graphs of guests, and the inputs of a computation in the order of the model."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from runtime.errors import InvalidInput
from runtime.tensors import TensorSpec

if TYPE_CHECKING:
    from runtime.predictor import ReadyModel


class Graph:
    """A model that a guest has loaded."""

    __slots__ = ("__weakref__", "inputs", "name", "outputs")

    def __init__(self, name: str, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> None:
        self.name = name  # for messages
        self.inputs = inputs  # in the order of the model: a guest may name an input by its place
        self.outputs = outputs


class ReadyGraph(Graph):
    """A graph on a model that is ready."""

    __slots__ = ("ready",)

    def __init__(self, ready: "ReadyModel") -> None:
        super().__init__(ready.name, ready.signature.inputs, ready.signature.outputs)
        self.ready = ready


def in_order(graph: Graph, inputs: Mapping[str | int, np.ndarray]) -> list[np.ndarray]:
    """Return one array for each input, in the order of the graph. Raises `InvalidInput` for wrong names."""
    left = dict(inputs)
    arrays = []
    for place, spec in enumerate(graph.inputs):
        array = left.pop(place, None)
        if array is None:
            array = left.pop(spec.name, None)
        if array is None:
            raise InvalidInput(f"inputs.{spec.name}", got="nothing", expected=spec.describe())
        arrays.append(array)
    if left:
        names = ", ".join(spec.name for spec in graph.inputs)
        raise InvalidInput(f"inputs.{next(iter(left))}", got="an unknown input", expected=f"one of {names}")
    return arrays
