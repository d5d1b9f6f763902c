"""Core modules for the tests of the witx ABI, written in WAT."""

import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import wasmtime

from runtime.wasi_nn import NnSession, add_to_linker, witx


def forwarder(*, memory: str = '(memory (export "memory") 1)') -> str:
    """Return a module that exports each import of the ABI under its name: a test makes the guest's calls."""
    imports, functions = [], []
    for name, count in witx.PARAMETERS.items():
        types = f"(param {'i32 ' * count}) (result i32)"
        arguments = " ".join(f"local.get {place}" for place in range(count))
        imports.append(f'(import "{witx.MODULE}" "{name}" (func ${name} {types}))')
        functions.append(f'(func (export "{name}") {types} {arguments} call ${name})')
    return "\n".join(["(module", *imports, memory, *functions, ")"])


class Guest:
    """An instance of the forwarder: calls the host's functions, and reads and writes the memory."""

    def __init__(self, nn: NnSession, wat: str | None = None) -> None:
        engine = wasmtime.Engine()
        linker = wasmtime.Linker(engine)
        add_to_linker(linker, nn)
        self.store = wasmtime.Store(engine)
        self._instance = linker.instantiate(self.store, wasmtime.Module(engine, forwarder() if wat is None else wat))

    def call(self, name: str, *arguments: int) -> int:
        """Return the number of the error; arguments are unsigned."""
        function = self._instance.exports(self.store)[name]
        assert isinstance(function, wasmtime.Func)
        number: int = function(self.store, *arguments)
        return number

    @property
    def memory(self) -> wasmtime.Memory:
        found = self._instance.exports(self.store)["memory"]
        assert isinstance(found, wasmtime.Memory)
        return found

    def put(self, at: int, data: bytes) -> int:
        """Write the data at the address, and return it."""
        self.memory.write(self.store, data, at)
        return at

    def get(self, at: int, size: int) -> bytes:
        return bytes(self.memory.read(self.store, at, at + size))

    def number(self, at: int) -> int:
        return int.from_bytes(self.get(at, 4), "little")

    def put_tensor(self, at: int, dimensions: Sequence[int], kind: int, data: bytes) -> int:
        """Write the tensor at the address, with its dimensions 32 bytes and its data 512 bytes after it."""
        self.put(at + 32, struct.pack(f"<{len(dimensions)}I", *dimensions))
        self.put(at + 512, data)
        return self.put(at, witx.TENSOR.pack(at + 32, len(dimensions), kind, at + 512, len(data)))

    def load(self, name: str = "doubling") -> int:
        """Load a graph by its name, open a context, and return the context."""
        assert self.call("load_by_name", self.put(0, name.encode()), len(name), 64) == witx.SUCCESS
        assert self.call("init_execution_context", self.number(64), 64) == witx.SUCCESS
        return self.number(64)


@contextmanager
def guest_of(session: Callable[[], NnSession]) -> Iterator[Guest]:
    """Yield a guest with a new session."""
    with session() as nn:
        yield Guest(nn)
