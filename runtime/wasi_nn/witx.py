"""The ABI of core modules: the imports of `wasi_ephemeral_nn`, with WasmEdge's extensions.

Every parameter is an i32: a pointer into the guest's memory, a length, a handle or a number of an enum. The result is
the number of an error; the value of a call is written where its last parameter points to.

    tensor (20 bytes)   pointer to u32 dimensions, their count, u8 type and 3 bytes of padding, pointer to data, length
    builder (8 bytes)   pointer, length

Sources: WebAssembly/wasi-nn, wasi-nn.witx; WasmEdge, plugins/wasi_nn/wasinnfunc.cpp. Where they differ in the number of
an error (a forged handle), the text of the specification decides.
"""

import atexit
import json
import struct
from collections.abc import Callable, Container
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

from runtime.wasi_nn.faults import Code, NnError, fault_of
from runtime.wasi_nn.memory import GuestMemory, unsigned
from runtime.wasi_nn.session import Encoding, NnSession, Target
from runtime.wasi_nn.tensors import MAX_RANK, Tensor, TensorType

if TYPE_CHECKING:
    from wasmtime import Caller, Engine, FuncType, Linker

_T = TypeVar("_T")
MODULE: Final = "wasi_ephemeral_nn"
SUCCESS: Final = 0
ERRNO: Final = {
    Code.INVALID_ARGUMENT: 1,
    Code.INVALID_ENCODING: 2,
    Code.MISSING_MEMORY: 3,
    Code.BUSY: 4,
    Code.TIMEOUT: 4,  # there is no number of its own; as with `busy`, a later call may succeed
    Code.RUNTIME_ERROR: 5,
    Code.UNSUPPORTED_OPERATION: 6,
    Code.TOO_LARGE: 7,
    Code.NOT_FOUND: 8,
    Code.SECURITY: 5,
}
TENSOR_TYPES: Final = (
    TensorType.FP16,
    TensorType.FP32,
    TensorType.FP64,
    TensorType.U8,
    TensorType.I32,
    TensorType.I64,
)
ENCODINGS: Final = (
    Encoding.OPENVINO,
    Encoding.ONNX,
    Encoding.TENSORFLOW,
    Encoding.PYTORCH,
    Encoding.TENSORFLOW_LITE,
    Encoding.AUTODETECT,
    Encoding.GGML,
)
TARGETS: Final = (Target.CPU, Target.GPU, Target.TPU, Target.AUTO)
TENSOR: Final = struct.Struct("<IIBxxxII")
_BUILDER: Final = struct.Struct("<II")
_U32: Final = struct.Struct("<I")
_CONFIG_BYTES: Final = 64 * 1024


def add_to_linker(linker: "Linker", nn: NnSession, imported: Container[tuple[str, str]] | None = None) -> None:
    """Define `wasi_ephemeral_nn` for the instance of a core module that the session belongs to.

    `imported` are the (module, name) that it imports; None: define all functions. Each takes 20 us, in every call.
    """
    calls, types = _Calls(nn), _types(linker.engine)
    for name, count in PARAMETERS.items():
        if imported is None or (MODULE, name) in imported:
            linker.define_func(MODULE, name, types[count], _guarded(nn, getattr(calls, name)), access_caller=True)


@lru_cache(maxsize=1)
def _types(_: "Engine") -> "dict[int, FuncType]":
    """Return the types of the functions of an engine, by the number of parameters; another engine needs others."""
    from wasmtime import FuncType, ValType

    atexit.register(_types.cache_clear)  # later, wasmtime's package can no longer delete them
    i32 = ValType.i32()
    return {count: FuncType([i32] * count, [i32]) for count in set(PARAMETERS.values())}


PARAMETERS: Final = {
    "load": 5,
    "load_by_name": 3,
    "init_execution_context": 2,
    "set_input": 3,
    "compute": 1,
    "get_output": 5,
    # WasmEdge's extensions
    "load_by_name_with_config": 5,
    "get_output_single": 5,
    "compute_single": 1,
    "fini_single": 1,
    "unload": 1,
}


def _guarded(nn: NnSession, call: Callable[..., None]) -> Callable[..., int]:
    """Return the call as the host's function: it returns a number, whatever happens.

    An exception would pass through a variable that all instances of the process share, and could reach another guest.
    """

    def guarded(caller: "Caller", *arguments: Any) -> int:  # noqa: ANN401 - i32
        try:
            call(GuestMemory(caller), *map(unsigned, arguments))
        except Exception as error:  # noqa: BLE001 - see above
            return ERRNO[nn.report(fault_of(error))]
        return SUCCESS

    return guarded


class _Calls:
    """The functions, by their names in the ABI. Each writes its result to the guest's memory, or raises `NnError`."""

    def __init__(self, nn: NnSession) -> None:
        self._nn = nn

    def load(self, memory: GuestMemory, builders: int, count: int, encoding: int, target: int, graph: int) -> None:
        memory.check(graph, _U32.size, what="graph")
        self._nn.check_load(count, _member(ENCODINGS, encoding, "encoding"), _member(TARGETS, target, "target"))
        pointer, size = _BUILDER.unpack(memory.read(builders, _BUILDER.size, what="builders"))
        self._nn.check_model(size)
        model = memory.read(pointer, size, what="builders[0]")
        _write(memory, graph, self._nn.load([model], ENCODINGS[encoding], TARGETS[target]))

    def load_by_name(self, memory: GuestMemory, name: int, size: int, graph: int) -> None:
        memory.check(graph, _U32.size, what="graph")
        _write(memory, graph, self._nn.load_by_name(self._name(memory, name, size)))

    def load_by_name_with_config(
        self, memory: GuestMemory, name: int, size: int, config: int, config_size: int, graph: int
    ) -> None:
        """Load by name. The config is checked, and has no effect: its fields are options of other backends."""
        if config_size > _CONFIG_BYTES:
            raise NnError(Code.TOO_LARGE, f"config: got {config_size} bytes; expected at most {_CONFIG_BYTES}")
        _check_config(memory.read(config, config_size, what="config"))
        self.load_by_name(memory, name, size, graph)

    def init_execution_context(self, memory: GuestMemory, graph: int, context: int) -> None:
        memory.check(context, _U32.size, what="context")
        _write(memory, context, self._nn.open_context(graph))

    def set_input(self, memory: GuestMemory, context: int, index: int, tensor: int) -> None:
        fields = TENSOR.unpack(memory.read(tensor, TENSOR.size, what="tensor"))
        dimensions, rank, kind, data, size = fields
        if rank > MAX_RANK:
            raise NnError(Code.INVALID_ARGUMENT, f"tensor: got {rank} dimensions; expected at most {MAX_RANK}")
        self._nn.check_tensor(size)
        sizes = struct.unpack(f"<{rank}I", memory.read(dimensions, rank * _U32.size, what="tensor.dimensions"))
        content = memory.read(data, size, what="tensor.data")
        self._nn.set_input(context, index, Tensor(sizes, _member(TENSOR_TYPES, kind, "tensor.type"), content))

    def compute(self, memory: GuestMemory, context: int) -> None:  # noqa: ARG002 - all calls have a memory
        self._nn.compute(context)

    def get_output(self, memory: GuestMemory, context: int, index: int, buffer: int, room: int, written: int) -> None:
        memory.check(buffer, room, what="out_buffer")
        memory.check(written, _U32.size, what="bytes_written")
        data = self._nn.output(context, index).data
        if len(data) > room:
            raise NnError(Code.TOO_LARGE, f"out_buffer: got room for {room} bytes; expected {len(data)} for the output")
        memory.write(buffer, bytes(data), what="out_buffer")
        _write(memory, written, len(data))

    get_output_single = get_output  # an ONNX model computes its whole output in one step

    def compute_single(self, memory: GuestMemory, context: int) -> None:  # noqa: ARG002 - as above
        """Refuse to compute token by token."""
        raise NnError(Code.UNSUPPORTED_OPERATION, "compute_single: an ONNX model has no tokens; call compute")

    def fini_single(self, memory: GuestMemory, context: int) -> None:  # noqa: ARG002 - as above
        """Refuse to end what `compute_single` would begin."""
        raise NnError(Code.UNSUPPORTED_OPERATION, "fini_single: an ONNX model has no tokens; call compute")

    def unload(self, memory: GuestMemory, graph: int) -> None:  # noqa: ARG002 - as above
        self._nn.unload(graph)

    def _name(self, memory: GuestMemory, pointer: int, size: int) -> str:
        if size > self._nn.limits.name_bytes:
            message = f"name: got {size} bytes; expected at most {self._nn.limits.name_bytes}"
            raise NnError(Code.INVALID_ARGUMENT, message)
        try:
            return memory.read(pointer, size, what="name").decode()
        except UnicodeDecodeError as error:
            raise NnError(Code.INVALID_ARGUMENT, f"name: got bytes that are not UTF-8 ({error.reason})") from error


def _write(memory: GuestMemory, pointer: int, number: int) -> None:
    memory.write(pointer, _U32.pack(number), what="result")


def _member(members: tuple[_T, ...], number: int, what: str) -> _T:
    if number >= len(members):
        raise NnError(Code.INVALID_ARGUMENT, f"{what}: got {number}; expected 0 to {len(members) - 1}")
    return members[number]


def _check_config(text: bytes) -> None:
    """Raise `NnError` (invalid-argument) if the config is neither empty nor a JSON object."""
    try:
        config = json.loads(text) if text.strip(b"\0 ") else {}
    except (ValueError, RecursionError) as error:
        raise NnError(Code.INVALID_ARGUMENT, "config: got text that is not JSON; expected a JSON object") from error
    if not isinstance(config, dict):
        raise NnError(Code.INVALID_ARGUMENT, "config: got JSON that is no object; expected a JSON object")
