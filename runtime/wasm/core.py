"""A core module: how it is checked, linked, instantiated and started."""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import wasmtime

from runtime.errors import FunctionFailed
from runtime.wasm.linking import Extension, core_linker

_START: Final = "_start"
_MEMORY: Final = "memory"


class Instance(NamedTuple):
    """An instance: `start` runs it and returns its exit status; `memory` is in bytes, None if it is unknown."""

    start: Callable[[], int]
    memory: Callable[[], int | None]


class CoreProgram:
    """A core module, a command of WASI preview 1."""

    def __init__(self, module: wasmtime.Module) -> None:
        self._module = module
        self._prepared: wasmtime.InstancePre | None = None
        self._imported = frozenset((each.module, str(each.name)) for each in module.imports)
        self.imports = frozenset(module for module, _ in self._imported)

    def check(self, name: str) -> None:
        """Raise `FunctionFailed` if its exports are not those of a command; `name` is for the message."""
        exports = {each.name: each.type for each in self._module.exports}
        start = exports.get(_START)
        if not isinstance(start, wasmtime.FuncType) or start.params or start.results:
            raise FunctionFailed(name, f"it exports no function {_START} without parameters; expected a WASI command")

    def link(self, extensions: Sequence[Extension]) -> None:
        """Link it once for all calls, or only try that if it has extensions. Raises `WasmtimeError`."""
        prepared = core_linker(self._imported, extensions).instantiate_pre(self._module)
        self._prepared = None if extensions else prepared

    def instantiate(self, store: wasmtime.Store, extensions: Sequence[Extension]) -> Instance:
        """Return a new instance, with its own extensions. Raises `WasmtimeError` and `Trap`."""
        prepared = self._prepared
        instance = (
            core_linker(self._imported, extensions).instantiate(store, self._module)
            if prepared is None
            else prepared.instantiate(store)
        )
        exports = instance.exports(store)

        def start() -> int:
            function = exports[_START]
            assert isinstance(function, wasmtime.Func)  # noqa: S101 - `check` has seen its type
            function(store)
            return 0

        def memory() -> int | None:
            found = exports.get(_MEMORY)
            return found.data_len(store) if isinstance(found, wasmtime.Memory) else None

        return Instance(start, memory)
