"""The ABI of components that import `wasi:nn/nn@0.1.0`, in the form of `wit/nn-0.1.0/nn.wit`.

It is the ABI of core modules with resources in place of handles. `get-output` returns only a count, because a list that
a guest passes is a copy: `get-output-data` returns the bytes.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from runtime.wasi_nn.faults import Code, NnError
from runtime.wasi_nn.resources import add_resource, answering, owned, representation
from runtime.wasi_nn.session import Encoding, NnSession, Target
from runtime.wasi_nn.tensors import Tensor, TensorType

if TYPE_CHECKING:
    from wasmtime import StoreContext
    from wasmtime.component import Linker, ResourceAny, ResourceHost

INTERFACE: Final = "wasi:nn/nn@0.1.0"
GRAPH, CONTEXT = 0x6E6E10, 0x6E6E11  # numbers of resource types
CODES: Final = {
    Code.INVALID_ARGUMENT: "invalid-argument",
    Code.INVALID_ENCODING: "invalid-encoding",
    Code.MISSING_MEMORY: "missing-memory",
    Code.BUSY: "busy",
    Code.TIMEOUT: "busy",  # as in the ABI of core modules
    Code.RUNTIME_ERROR: "runtime-error",
    Code.UNSUPPORTED_OPERATION: "unsupported-operation",
    Code.TOO_LARGE: "too-large",
    Code.NOT_FOUND: "not-found",
    Code.SECURITY: "runtime-error",
}


def add_interface(linker: "Linker", nn: NnSession) -> None:
    """Define the interface for the instance of a component that the session belongs to."""
    calls = _Calls(nn)
    with linker.root() as root, root.add_instance(INTERFACE) as interface:
        add_resource(interface, "graph", GRAPH, nn.drop_graph)
        add_resource(interface, "graph-execution-context", CONTEXT, nn.drop_context)
        for name, call in calls.by_name.items():
            interface.add_func(name, answering(nn, call, lambda error: CODES[error.code], tagged=False))


class _Calls:
    """The functions. Each returns its value, or raises `NnError`."""

    def __init__(self, nn: NnSession) -> None:
        self._nn = nn
        self.by_name: dict[str, Callable[..., Any]] = {
            "load": self.load,
            "load-by-name": self.load_by_name,
            "init-execution-context": self.init_execution_context,
            "set-input": self.set_input,
            "compute": self.compute,
            "get-output": self.get_output,
            "get-output-data": self.get_output_data,
        }

    def load(self, _: "StoreContext", builder: bytes, encoding: str, target: str) -> "ResourceHost":
        return owned(self._nn.load([builder], Encoding(encoding), Target(target)), GRAPH)

    def load_by_name(self, _: "StoreContext", name: str) -> "ResourceHost":
        return owned(self._nn.load_by_name(name), GRAPH)

    def init_execution_context(self, store: "StoreContext", graph: "ResourceAny") -> "ResourceHost":
        return owned(self._nn.open_context(representation(graph, store)), CONTEXT)

    def set_input(self, store: "StoreContext", context: "ResourceAny", index: int, tensor: Any) -> None:  # noqa: ANN401 - a record
        kind = TensorType[getattr(tensor, "tensor-type")]
        value = Tensor(tuple(tensor.dimensions), kind, tensor.data)
        self._nn.set_input(representation(context, store), index, value)

    def compute(self, store: "StoreContext", context: "ResourceAny") -> None:
        self._nn.compute(representation(context, store))

    def get_output(self, store: "StoreContext", context: "ResourceAny", index: int, out_buffer: bytes) -> int:
        """Return the size of the output. Raises `NnError` (too-large) if the buffer is smaller."""
        size = len(self._nn.output(representation(context, store), index).data)
        if size > len(out_buffer):
            message = f"out-buffer: got room for {len(out_buffer)} bytes; expected {size} for the output"
            raise NnError(Code.TOO_LARGE, message)
        return size

    def get_output_data(self, store: "StoreContext", context: "ResourceAny", index: int) -> bytes:
        return bytes(self._nn.output(representation(context, store), index).data)
