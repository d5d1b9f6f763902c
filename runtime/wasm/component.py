"""A component: how it is checked, linked, instantiated and started.

Only components need this module: it imports `wasmtime.component`, which takes 10 ms of a cold start.
"""

import re
from collections.abc import Sequence
from typing import Final

import wasmtime
from wasmtime.component import Component, ComponentInstanceType, ComponentItem, FuncType, Linker, ResultType

from runtime.errors import FunctionFailed
from runtime.wasm.core import Instance
from runtime.wasm.engine import engine
from runtime.wasm.granting import add_wasi
from runtime.wasm.linking import Extension

_RUN: Final = re.compile(r"wasi:cli/run@0\.2\.\d+")
_FAILED: Final = 1  # the exit status of a component whose `run` returns an error


class ComponentProgram:
    """A component with the export `wasi:cli/run`."""

    def __init__(self, component: Component, *, network: bool = False) -> None:
        self._component = component
        self._network = network
        self._linker: Linker | None = None
        self.imports = frozenset(component.type.imports(engine().wasmtime))
        self._exports = component.type.exports(engine().wasmtime)
        self._run = next(filter(_RUN.fullmatch, sorted(self._exports)), "")

    def check(self, name: str) -> None:
        """Raise `FunctionFailed` if its exports are not those of a command; `name` is for the message."""
        if not self._run:
            got = f"it exports {', '.join(sorted(self._exports)) or 'nothing'}"
            raise FunctionFailed(name, f"{got}; expected wasi:cli/run@0.2.0 or a later 0.2 version")
        if not _is_run(self._exports[self._run].ty):
            raise FunctionFailed(
                name, f"{self._run} has another type; expected an interface with run: func() -> result"
            )

    def link(self, extensions: Sequence[Extension]) -> None:
        """Create the linker for all calls, unless it has extensions."""
        self._linker = None if extensions else _linker(network=self._network)

    def instantiate(self, store: wasmtime.Store, extensions: Sequence[Extension]) -> Instance:
        """Return a new instance, with its own extensions. Raises `WasmtimeError` and `Trap`."""
        linker = self._linker or _linker(extensions, network=self._network)
        instance = linker.instantiate(store, self._component)

        def start() -> int:
            interface = instance.get_export_index(store, self._run)
            index = instance.get_export_index(store, "run", interface)
            function = instance.get_func(store, index) if index else None
            assert function is not None  # noqa: S101 - `check` has seen its type
            result = function(store)
            return _FAILED if getattr(result, "tag", "ok") == "err" else 0

        return Instance(start, lambda: None)


def _is_run(interface: ComponentItem) -> bool:
    """Return whether this is the type of the interface `wasi:cli/run`."""
    exports = interface.exports(engine().wasmtime) if isinstance(interface, ComponentInstanceType) else {}
    run = exports["run"].ty if "run" in exports else None
    if not isinstance(run, FuncType) or run.params:
        return False
    result = run.result
    return isinstance(result, ResultType) and result.ok is None and result.err is None


def _linker(extensions: Sequence[Extension] = (), *, network: bool) -> Linker:
    linker = Linker(engine().wasmtime)
    add_wasi(linker, network=network)
    for each in extensions:
        each.add_to_component_linker(linker)
    return linker
