"""The ABI of components: `wasi:nn/{tensor,graph,inference,errors}@0.2.0-rc-2024-10-28`.

    load, load-by-name ──► graph ──► init-execution-context ──► compute(list of named tensors) -> list of named tensors

Source: WebAssembly/wasi-nn, wit/wasi-nn.wit of that release; ours stands in `wit/`. Tensors and errors are resources:
the guest holds their handles, the session their values.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from runtime.wasi_nn.faults import Code, NnError
from runtime.wasi_nn.resources import add_resource, answering, owned, representation, trapping
from runtime.wasi_nn.session import Encoding, NnSession, Target
from runtime.wasi_nn.tensors import Tensor, TensorType

if TYPE_CHECKING:
    from wasmtime import StoreContext
    from wasmtime.component import Linker, ResourceAny, ResourceHost

VERSION: Final = "0.2.0-rc-2024-10-28"
TENSOR, ERROR, CONTEXT, GRAPH = range(0x6E6E00, 0x6E6E04)  # numbers of resource types, apart from those of others
CODES: Final = {
    Code.INVALID_ARGUMENT: "invalid-argument",
    Code.INVALID_ENCODING: "invalid-encoding",
    Code.MISSING_MEMORY: "runtime-error",  # a component always has one
    Code.BUSY: "runtime-error",  # there is no name of its own
    Code.TIMEOUT: "timeout",
    Code.RUNTIME_ERROR: "runtime-error",
    Code.UNSUPPORTED_OPERATION: "unsupported-operation",
    Code.TOO_LARGE: "too-large",
    Code.NOT_FOUND: "not-found",
    Code.SECURITY: "security",
}


def add_interfaces(linker: "Linker", nn: NnSession) -> None:
    """Define the four interfaces for the instance of a component that the session belongs to."""
    calls = _Calls(nn)
    with linker.root() as root:
        with root.add_instance(f"wasi:nn/tensor@{VERSION}") as tensor:
            add_resource(tensor, "tensor", TENSOR, nn.take_tensor)
            tensor.add_func("[constructor]tensor", trapping(calls.new_tensor))
            tensor.add_func("[method]tensor.dimensions", trapping(calls.dimensions))
            tensor.add_func("[method]tensor.ty", trapping(calls.type))
            tensor.add_func("[method]tensor.data", trapping(calls.data))
        with root.add_instance(f"wasi:nn/errors@{VERSION}") as errors:
            add_resource(errors, "error", ERROR, nn.errors.remove)
            errors.add_func("[method]error.code", trapping(calls.error_code))
            errors.add_func("[method]error.data", trapping(calls.error_data))
        with root.add_instance(f"wasi:nn/inference@{VERSION}") as inference:
            add_resource(inference, "graph-execution-context", CONTEXT, nn.drop_context)
            compute = answering(nn, calls.compute, calls.refuse, tagged=False)
            inference.add_func("[method]graph-execution-context.compute", compute)
        with root.add_instance(f"wasi:nn/graph@{VERSION}") as graph:
            add_resource(graph, "graph", GRAPH, nn.drop_graph)
            for name, call in calls.of_graphs.items():
                graph.add_func(name, answering(nn, call, calls.refuse, tagged=True))


class _Calls:
    """The functions. Each returns its value, or raises `NnError`."""

    def __init__(self, nn: NnSession) -> None:
        self._nn = nn
        self.of_graphs: dict[str, Callable[..., Any]] = {
            "load": self.load,
            "load-by-name": self.load_by_name,
            "[method]graph.init-execution-context": self.init_execution_context,
        }

    def refuse(self, error: NnError) -> "ResourceHost":
        """Return the error as a resource. Raises `NnError` if the guest never drops its errors."""
        return owned(self._nn.errors.add(error), ERROR)

    def load(self, _: "StoreContext", builders: list[bytes], encoding: str, target: str) -> "ResourceHost":
        return owned(self._nn.load(builders, Encoding(encoding), Target(target)), GRAPH)

    def load_by_name(self, _: "StoreContext", name: str) -> "ResourceHost":
        return owned(self._nn.load_by_name(name), GRAPH)

    def init_execution_context(self, store: "StoreContext", graph: "ResourceAny") -> "ResourceHost":
        return owned(self._nn.open_context(representation(graph, store)), CONTEXT)

    def compute(
        self, store: "StoreContext", context: "ResourceAny", inputs: list[tuple[str, "ResourceAny"]]
    ) -> list[tuple[str, "ResourceHost"]]:
        handle = representation(context, store)
        taken = [(name, self._nn.take_tensor(representation(tensor, store))) for name, tensor in inputs]
        return self._named(self._nn.run(handle, taken))

    def _named(self, outputs: list[tuple[str, Tensor]]) -> list[tuple[str, "ResourceHost"]]:
        handles: list[tuple[str, int]] = []
        try:
            handles.extend((name, self._nn.add_tensor(tensor)) for name, tensor in outputs)
        except NnError:
            for _, handle in handles:
                self._nn.take_tensor(handle)
            raise
        return [(name, owned(handle, TENSOR)) for name, handle in handles]

    def new_tensor(self, _: "StoreContext", dimensions: list[int], kind: str, data: bytes) -> "ResourceHost":
        """Return a tensor, which is checked where it is used: a constructor has no result for an error."""
        return owned(self._nn.add_tensor(Tensor(tuple(dimensions), TensorType[kind], data)), TENSOR)

    def dimensions(self, store: "StoreContext", tensor: "ResourceAny") -> list[int]:
        return list(self._tensor(store, tensor).dimensions)

    def type(self, store: "StoreContext", tensor: "ResourceAny") -> str:
        return self._tensor(store, tensor).type.name

    def data(self, store: "StoreContext", tensor: "ResourceAny") -> bytes:
        return bytes(self._tensor(store, tensor).data)

    def error_code(self, store: "StoreContext", error: "ResourceAny") -> str:
        return CODES[self._error(store, error).code]

    def error_data(self, store: "StoreContext", error: "ResourceAny") -> str:
        return self._error(store, error).message

    def _tensor(self, store: "StoreContext", tensor: "ResourceAny") -> Tensor:
        return self._nn.tensors.get(representation(tensor, store))

    def _error(self, store: "StoreContext", error: "ResourceAny") -> NnError:
        return self._nn.errors.get(representation(error, store))
