"""What one guest instance holds in the host: graphs, execution contexts, tensors and errors, by handle.

    load, load_by_name ──► graph ──► open_context ──► set_input ... ──► compute ──► output
                                          └─────────► run (all inputs and outputs in one call)

Every method raises `NnError` and nothing else, so an ABI has one thing to translate. A session belongs to one instance
and to the thread that runs it; it is closed with the instance.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType
from typing import Final, Self

import numpy as np

from runtime.wasi_nn.backend import Backend
from runtime.wasi_nn.faults import Code, NnError, fault_of
from runtime.wasi_nn.graphs import Graph
from runtime.wasi_nn.tables import Budget, Table
from runtime.wasi_nn.tensors import Tensor, from_array, to_array, type_of


class Encoding(Enum):
    """The formats of a graph, by their names in WIT."""

    OPENVINO = "openvino"
    ONNX = "onnx"
    TENSORFLOW = "tensorflow"
    PYTORCH = "pytorch"
    TENSORFLOW_LITE = "tensorflowlite"
    GGML = "ggml"
    AUTODETECT = "autodetect"


class Target(Enum):
    """The devices that a guest may ask for."""

    CPU = "cpu"
    GPU = "gpu"
    TPU = "tpu"
    AUTO = "auto"  # WasmEdge


_log = logging.getLogger("scalezero.wasi_nn")
_REPORTED: Final = 8  # failed calls of one guest in the log
_SETTING: Final = "SCALEZERO_GUEST_MODEL_BYTES"
_SERVED: Final = frozenset({Encoding.ONNX, Encoding.AUTODETECT})


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one guest instance may hold in the host, where the limit of its own memory does not count it."""

    model_bytes: int = 64 * 2**20  # of a model that is passed as bytes; 0: the guest may only load models by name
    tensor_bytes: int = 32 * 2**20  # of one tensor: as much as a request's body
    held_bytes: int = 256 * 2**20  # of all inputs, outputs and tensors
    handles: int = 1024  # of each kind
    name_bytes: int = 1024  # of the name of a model, an input or an output


_DEFAULT: Final = Limits()


@dataclass(slots=True)
class _Context:
    """An execution context: the inputs so far, and the outputs of the last computation."""

    graph_handle: int | None  # None: the graph was dropped by a guest whose contexts stay valid
    graph: Graph
    inputs: dict[str | int, np.ndarray] = field(default_factory=dict)
    outputs: Sequence[np.ndarray] | None = None

    @property
    def held(self) -> int:
        """The bytes of its tensors."""
        return sum(each.nbytes for each in [*self.inputs.values(), *(self.outputs or ())])


class NnSession:
    """The graphs, contexts and tensors of one guest instance."""

    def __init__(self, backend: Backend, limits: Limits = _DEFAULT) -> None:
        self.limits = limits
        self.tensors: Table[Tensor] = Table("tensors", limit=limits.handles)
        self.errors: Table[NnError] = Table("errors", limit=limits.handles)
        self._backend = backend
        self._graphs: Table[Graph] = Table("graphs", limit=limits.handles)
        self._contexts: Table[_Context] = Table("execution contexts", limit=limits.handles)
        self._budget = Budget(limits.held_bytes)
        self._reported = 0

    def __enter__(self) -> Self:
        """Return the session, which the end of the block closes."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the session."""
        self.close()

    def report(self, error: NnError) -> Code:
        """Log a call that failed, as long as there are few, and return its code: some ABIs tell the guest no text."""
        self._reported += 1
        if self._reported <= _REPORTED:
            _log.warning(
                "a call of a WebAssembly guest failed", extra={"code": error.code.value, "reason": error.message}
            )
        return error.code

    @property
    def held_bytes(self) -> int:
        """The bytes of all tensors of the guest in the host."""
        return self._budget.held

    def close(self) -> None:
        """Drop everything that the guest holds. Every handle is invalid from now on."""
        for table in (self._graphs, self._contexts, self.tensors, self.errors):
            table.clear()
        self._budget.held = 0

    def check_load(self, builders: int, encoding: Encoding, target: Target) -> None:
        """Raise `NnError` for a load that cannot succeed, before its bytes are read; `builders`: their parts."""
        if encoding not in _SERVED:
            raise NnError(Code.INVALID_ENCODING, f"encoding: got {encoding.value}; expected onnx")
        _check_target(target)
        if builders != 1:
            message = f"builders: got {builders} parts of a graph; expected 1, the ONNX file"
            raise NnError(Code.INVALID_ARGUMENT, message)

    def check_model(self, size: int) -> None:
        """Raise `NnError` for a model of this many bytes, if the host does not load it from bytes."""
        if not self.limits.model_bytes:
            message = f"load: this host loads no model from bytes; load one by its name, or raise {_SETTING}"
            raise NnError(Code.UNSUPPORTED_OPERATION, message)
        if size > self.limits.model_bytes:
            message = f"the model: got {size} bytes; expected at most {self.limits.model_bytes}, which {_SETTING} sets"
            raise NnError(Code.TOO_LARGE, message)

    def load(self, builders: Sequence[bytes], encoding: Encoding, target: Target) -> int:
        """Return the graph of a model that the guest passes. An ONNX model has one part, a graph builder."""
        self.check_load(len(builders), encoding, target)
        self.check_model(len(builders[0]))
        self._graphs.reserve()
        try:
            return self._graphs.add(self._backend.load(builders[0]))
        except Exception as error:
            raise fault_of(error) from error

    def load_by_name(self, name: str) -> int:
        """Return the graph of a model of the host."""
        self._graphs.reserve()
        try:
            return self._graphs.add(self._backend.load_by_name(name))
        except Exception as error:
            raise fault_of(error) from error

    def drop_graph(self, graph: int) -> None:
        """Close a graph. Its contexts stay valid."""
        self._graphs.remove(graph)
        for _, context in self._contexts:
            if context.graph_handle == graph:
                context.graph_handle = None

    def unload(self, graph: int) -> None:
        """Close a graph and its contexts."""
        self._graphs.remove(graph)
        for handle, context in self._contexts:
            if context.graph_handle == graph:
                self.drop_context(handle)

    def open_context(self, graph: int) -> int:
        """Return a new execution context of a graph."""
        return self._contexts.add(_Context(graph, self._graphs.get(graph)))

    def drop_context(self, context: int) -> None:
        """Close an execution context, with its inputs and outputs."""
        self._budget.give(self._contexts.remove(context).held)

    def set_input(self, context: int, key: str | int, tensor: Tensor) -> None:
        """Set an input by its name or place. A second call for the same input replaces it."""
        found = self._contexts.get(context)
        place = _place(key, [spec.name for spec in found.graph.inputs], what="input")
        self.check_tensor(len(tensor.data))
        array = to_array(tensor, found.graph.inputs[place])
        before = found.inputs[place].nbytes if place in found.inputs else 0
        self._budget.take(array.nbytes - before)
        found.inputs[place] = array

    def check_tensor(self, size: int) -> None:
        """Raise `NnError` (too-large) for a tensor of more bytes than the limit."""
        if size > self.limits.tensor_bytes:
            message = f"a tensor: got {size} bytes; expected at most {self.limits.tensor_bytes}"
            raise NnError(Code.TOO_LARGE, message)

    def compute(self, context: int) -> None:
        """Compute all outputs from the inputs, which stay set. It blocks until the batch with them has run."""
        found = self._contexts.get(context)
        self._drop_outputs(found)
        outputs = self._compute(found.graph, dict(found.inputs))
        self._budget.take(sum(each.nbytes for each in outputs))
        found.outputs = outputs

    def output(self, context: int, key: str | int) -> Tensor:
        """Return an output of the last computation, by its name or place."""
        found = self._contexts.get(context)
        if found.outputs is None:
            raise NnError(Code.INVALID_ARGUMENT, "output: nothing was computed in this context; call compute before")
        names = [spec.name for spec in found.graph.outputs]
        place = _place(key, names, what="output")
        return from_array(found.outputs[place], names[place])

    def run(self, context: int, inputs: Sequence[tuple[str, Tensor]]) -> list[tuple[str, Tensor]]:
        """Return the outputs for these inputs; the context keeps neither.

        Outputs whose type WASI-NN cannot carry are left out, unless there is no other.
        """
        graph = self._contexts.get(context).graph
        names = [spec.name for spec in graph.inputs]
        arrays: dict[str | int, np.ndarray] = {}
        for name, tensor in inputs:
            place = _place(name, names, what="input")
            if place in arrays:
                raise NnError(Code.INVALID_ARGUMENT, f"input {name!r}: got it twice; expected each input once")
            self.check_tensor(len(tensor.data))
            arrays[place] = to_array(tensor, graph.inputs[place])
        named = list(zip([spec.name for spec in graph.outputs], self._compute(graph, arrays), strict=True))
        carried = [each for each in named if type_of(each[1].dtype) is not None]
        return [(name, from_array(array, name)) for name, array in carried or named]

    def add_tensor(self, tensor: Tensor) -> int:
        """Return the handle of a tensor that the guest or the host has made."""
        self.tensors.reserve()
        self.check_tensor(len(tensor.data))
        self._budget.take(len(tensor.data))
        return self.tensors.add(tensor)

    def take_tensor(self, handle: int) -> Tensor:
        """Remove a tensor, and return it."""
        tensor = self.tensors.remove(handle)
        self._budget.give(len(tensor.data))
        return tensor

    def _compute(self, graph: Graph, inputs: dict[str | int, np.ndarray]) -> Sequence[np.ndarray]:
        try:
            return self._backend.compute(graph, inputs)
        except Exception as error:
            raise fault_of(error) from error

    def _drop_outputs(self, context: _Context) -> None:
        self._budget.give(sum(each.nbytes for each in context.outputs or ()))
        context.outputs = None


def _check_target(target: Target) -> None:
    """Raise `NnError` for a device that the host does not choose; the model's variant states where it runs."""
    if target not in {Target.CPU, Target.AUTO}:
        message = f"target: got {target.value}; expected cpu: the host chooses the device with the variant of the model"
        raise NnError(Code.UNSUPPORTED_OPERATION, message)


def _place(key: str | int, names: Sequence[str], *, what: str) -> int:
    """Return the place of an input or output. Raises `NnError` (invalid-argument) for one that the graph lacks."""
    if isinstance(key, int) and 0 <= key < len(names):
        return key
    if isinstance(key, str) and key in names:
        return names.index(key)
    shown = repr(key[:80]) if isinstance(key, str) else str(key)
    named = ", ".join(f"{place} ({name})" for place, name in enumerate(names))
    raise NnError(Code.INVALID_ARGUMENT, f"{what}: got {shown}; expected one of {named}")
