"""A backend that computes in NumPy: the seam at which the session and the ABIs are tested without a service."""

from collections.abc import Mapping, Sequence

import numpy as np

from runtime.errors import InvalidModel, UnknownModel
from runtime.tensors import STRING, TensorSpec
from runtime.wasi_nn.graphs import Graph, in_order

FLOAT = np.dtype(np.float32)


class Doubling:
    """The model `doubling`: `y` = 2 `x`, float32 [batch, 2].

    `pair` has the same output twice, `mixed` has types that WASI-NN cannot carry too.
    """

    def __init__(self) -> None:
        self.models: list[bytes] = []  # that guests have passed
        self.error: Exception | None = None  # raised by every computation

    def load(self, model: bytes) -> Graph:
        if not model.startswith(b"onnx"):
            raise InvalidModel("the bytes of a guest", "it is no ONNX model")
        self.models.append(model)
        return doubling()

    def load_by_name(self, name: str) -> Graph:
        if name == "mixed":
            shape = ("batch", 2)
            inputs = [TensorSpec("x", FLOAT, shape), TensorSpec("on", np.dtype(np.bool_), (1,))]
            texts = TensorSpec("text", STRING, ("batch",))
            return Graph(name, [*inputs, texts], [TensorSpec("y", FLOAT, shape), texts])
        if name == "pair":
            x, y = doubling().inputs[0], doubling().outputs[0]
            return Graph(name, [x], [y, y._replace(name="z")])
        if name != "doubling":
            raise UnknownModel(name, ["doubling"])
        return doubling()

    def compute(self, graph: Graph, inputs: Mapping[str | int, np.ndarray]) -> Sequence[np.ndarray]:
        if self.error is not None:
            raise self.error
        if graph.name == "mixed":
            return [inputs[0] * 2, np.array(["a"], dtype=object)]
        (x,) = in_order(graph, inputs)
        return [x * 2 for _ in graph.outputs]


def doubling() -> Graph:
    return Graph("doubling", [TensorSpec("x", FLOAT, ("batch", 2))], [TensorSpec("y", FLOAT, ("batch", 2))])
