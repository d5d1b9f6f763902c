"""A guest: checked once, then run in a fresh instance for each call.

    Guest(code)      links and instantiates it once, so that a guest which can never run fails at the start
    Guest.run(call)  store with limits -> stdin, stdout -> instance -> _start or wasi:cli/run -> stdout's content

A call blocks its thread and releases the GIL while the guest computes. The time limit stops a guest that computes; one
that sleeps in a host function ends when that returns.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

import wasmtime
from wasmtime.component import Component
from wasmtime.component import Linker as ComponentLinker

from runtime.errors import FunctionFailed, GuestAnswerInvalid, GuestCrashed, ScalezeroError
from runtime.wasm.access import NOTHING, Access
from runtime.wasm.code import Code
from runtime.wasm.engine import engine
from runtime.wasm.faults import exit_status, exited, fault_of, summary
from runtime.wasm.files import MemoryFile
from runtime.wasm.granting import HTTP, FolderUnavailable, allow, set_wasi
from runtime.wasm.limits import Limits
from runtime.wasm.linking import Extension, Extensions, component_linker, core_linker, opened

_START: Final = "_start"
_MEMORY: Final = "memory"
_RUN: Final = re.compile(r"wasi:cli/run@0\.2\.\d+")
_WASI: Final = re.compile(r"wasi_snapshot_preview1|wasi:(cli|clocks|filesystem|http|io|random|sockets)/.*")
_TABLE_ELEMENTS: Final = 1_000_000  # of 8 bytes
_MEMORIES: Final = 4
_PARTS: Final = 256  # instances, and tables, of one guest
_FAILED: Final = 1  # the exit status of a component whose `run` returns an error


class Call(NamedTuple):
    """What a call gets."""

    arguments: Sequence[str]  # the first is the name of the program
    variables: Sequence[tuple[str, str]]
    stdin: bytes


class Guest:
    """A guest with its limits. `run` may be called on several threads at once."""

    def __init__(self, code: Code, limits: Limits, *, access: Access = NOTHING, extensions: Extensions = ()) -> None:
        """Check the guest. Raises `FunctionFailed` if no call of it could succeed. Blocks for at most its time limit.

        `access` is what it reaches outside of the instance. `extensions` are used for a guest that imports more than
        WASI.
        """
        self._name = code.name
        self._limits = limits
        self._access = access
        self._program = (
            _Core(code.program)
            if isinstance(code.program, wasmtime.Module)
            else _Component(code.program, network=access.network)
        )
        self._program.check(code.name)
        self._check_network()
        more = [each for each in self._program.imports if not _WASI.fullmatch(each)]
        self._extensions = extensions if more else ()
        try:
            with opened(self._extensions) as created:
                self._program.link(created)
            self._try()
        except wasmtime.WasmtimeError as error:  # of the linker
            raise FunctionFailed(code.name, _link_fault(error)) from error

    @property
    def is_core_module(self) -> bool:
        """Whether it is a core module, which can use no network: WASI preview 1 opens no sockets."""
        return isinstance(self._program, _Core)

    def run(self, call: Call) -> bytes:
        """Return what the guest writes to stdout.

        Raises `FunctionTimedOut`, `GuestCrashed`, and `GuestAnswerInvalid` if it writes more than its limit.
        """
        with MemoryFile("stdin", call.stdin) as stdin, MemoryFile("stdout") as stdout:
            try:
                with engine().running(lambda: self._watch(stdout)):
                    self._execute(_wasi(call, stdin, stdout, self._access))
            except FolderUnavailable as error:  # it was there at the start
                raise GuestCrashed(str(error)) from error
            except ScalezeroError:
                self._check_size(stdout)  # a guest often crashes because it could not write
                raise
            self._check_size(stdout)
            return stdout.read()

    def _execute(self, wasi: wasmtime.WasiConfig) -> None:
        with opened(self._extensions) as extensions, self._store() as store:
            set_wasi(store, wasi, network=self._access.network)
            instance = None
            try:
                instance = self._program.instantiate(store, extensions)
                status = instance.start()
            except (wasmtime.WasmtimeError, wasmtime.Trap) as error:
                if exit_status(error) == 0:
                    return
                raise fault_of(error, limits=self._limits, memory=instance and instance.memory()) from error
            if status:
                raise exited(status)

    def _try(self) -> None:
        """Instantiate the guest once. Raises `FunctionFailed`."""
        wasi = wasmtime.WasiConfig()
        try:
            allow(wasi, self._access)
            with engine().running(_nothing), opened(self._extensions) as extensions, self._store() as store:
                set_wasi(store, wasi, network=self._access.network)
                self._program.instantiate(store, extensions)
        except FolderUnavailable as error:
            expected = "expected a folder of the image, or one that a volume of func.yaml provides"
            raise FunctionFailed(self._name, f"{error}; {expected}") from error
        except wasmtime.Trap as error:
            fault = fault_of(error, limits=self._limits, memory=None)
            raise FunctionFailed(self._name, f"it cannot be instantiated: {fault}") from error

    def _check_network(self) -> None:
        imported = next((each for each in sorted(self._program.imports) if each.startswith(HTTP)), None)
        if imported and not self._access.network:
            reason = (
                f"it imports {imported}, and has no network; expected network: true in guest of the InferenceConfig"
            )
            raise FunctionFailed(self._name, reason)

    @contextmanager
    def _store(self) -> Iterator[wasmtime.Store]:
        store = wasmtime.Store(engine().wasmtime)
        try:
            store.set_epoch_deadline(engine().ticks(self._limits.seconds))
            store.set_limits(
                memory_size=self._limits.memory,
                table_elements=_TABLE_ELEMENTS,
                instances=_PARTS,
                tables=_PARTS,
                memories=_MEMORIES,
            )
            yield store
        finally:
            store.close()

    def _watch(self, stdout: MemoryFile) -> None:
        if stdout.size > self._limits.output:
            stdout.seal()

    def _check_size(self, stdout: MemoryFile) -> None:
        if stdout.size > self._limits.output:
            expected = f"at most {self._limits.output} bytes, which SCALEZERO_GUEST_OUTPUT sets"
            raise GuestAnswerInvalid("size of stdout", got="more", expected=expected)


class _Instance(NamedTuple):
    """An instance: `start` runs it and returns its exit status; `memory` is in bytes, None if it is unknown."""

    start: Callable[[], int]
    memory: Callable[[], int | None]


class _Core:
    """A core module, a command of WASI preview 1."""

    def __init__(self, module: wasmtime.Module) -> None:
        self._module = module
        self._prepared: wasmtime.InstancePre | None = None
        self.imports = frozenset(each.module for each in module.imports)

    def check(self, name: str) -> None:
        exports = {each.name: each.type for each in self._module.exports}
        start = exports.get(_START)
        if not isinstance(start, wasmtime.FuncType) or start.params or start.results:
            raise FunctionFailed(name, f"it exports no function {_START} without parameters; expected a WASI command")

    def link(self, extensions: Sequence[Extension]) -> None:
        prepared = core_linker(extensions).instantiate_pre(self._module)
        self._prepared = None if extensions else prepared

    def instantiate(self, store: wasmtime.Store, extensions: Sequence[Extension]) -> _Instance:
        prepared = self._prepared
        instance = (
            core_linker(extensions).instantiate(store, self._module)
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

        return _Instance(start, memory)


class _Component:
    """A component with the export `wasi:cli/run`."""

    def __init__(self, component: Component, *, network: bool) -> None:
        self._component = component
        self._network = network
        self._linker: ComponentLinker | None = None
        self.imports = frozenset(component.type.imports(engine().wasmtime))
        self._exports = sorted(component.type.exports(engine().wasmtime))
        self._run = next(filter(_RUN.fullmatch, self._exports), "")

    def check(self, name: str) -> None:
        if not self._run:
            got = f"it exports {', '.join(self._exports) or 'nothing'}"
            raise FunctionFailed(name, f"{got}; expected wasi:cli/run@0.2.0 or a later 0.2 version")

    def link(self, extensions: Sequence[Extension]) -> None:
        self._linker = None if extensions else component_linker(network=self._network)

    def instantiate(self, store: wasmtime.Store, extensions: Sequence[Extension]) -> _Instance:
        linker = self._linker or component_linker(extensions, network=self._network)
        instance = linker.instantiate(store, self._component)

        def start() -> int:
            interface = instance.get_export_index(store, self._run)
            index = instance.get_export_index(store, "run", interface)
            function = instance.get_func(store, index) if index else None
            assert function is not None  # noqa: S101 - the interface has it
            result = function(store)
            return _FAILED if getattr(result, "tag", "ok") == "err" else 0

        return _Instance(start, lambda: None)


def _wasi(call: Call, stdin: MemoryFile, stdout: MemoryFile, access: Access) -> wasmtime.WasiConfig:
    """Return WASI's configuration of a call. stderr is that of the process. Raises `FolderUnavailable`."""
    wasi = wasmtime.WasiConfig()
    wasi.argv = list(call.arguments)
    wasi.env = call.variables
    wasi.stdin_file = stdin.path
    wasi.stdout_file = stdout.path
    wasi.inherit_stderr()
    allow(wasi, access)
    return wasi


def _link_fault(error: Exception) -> str:
    return f"it cannot be linked or instantiated: {summary(error)}"


def _nothing() -> None:
    """Watch nothing."""
