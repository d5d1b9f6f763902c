"""Runs a WebAssembly program by hand: a core module with `_start`, or a component that exports `wasi:cli/run`.

The standard streams, the arguments and the exit code are those of this process. The guest reaches only what its
`Access` states.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from runtime.errors import BadSetting
from runtime.wasi_nn import NnSession, add_to_component_linker, add_to_linker
from runtime.wasm.access import NOTHING, Access
from runtime.wasm.binary import COMPONENT_HEADER

if TYPE_CHECKING:
    from wasmtime import Engine, Store

TRAPPED: Final = 134  # the exit code after a trap, as of `wasmtime run`: that of a program that aborts
_TEXT_COMPONENT: Final = b"(component"
_RUN: Final = "wasi:cli/run@"


class Program(NamedTuple):
    """A guest to run: its file, its arguments, its environment, and what it reaches outside of its instance."""

    path: Path
    arguments: Sequence[str] = ()
    environ: Sequence[tuple[str, str]] = ()
    access: Access = NOTHING


def run(program: Program, nn: NnSession) -> int:
    """Run the program on this thread, and return its exit code.

    Raises `BadSetting` for a file that is no WebAssembly program, or that imports what this host does not define.
    """
    from wasmtime import Engine, ExitTrap, Store, Trap, WasmtimeError

    content = program.path.read_bytes()
    engine = Engine(configuration())
    store = Store(engine)
    _set_wasi(store, program)
    is_component = content.startswith((COMPONENT_HEADER, _TEXT_COMPONENT))
    try:
        if is_component:
            start = _component(engine, store, content, nn, network=program.access.network)
        else:
            start = _module(engine, store, content, nn)
    except (WasmtimeError, Trap) as error:
        reason = str(error).strip().partition("\n")[0]
        raise BadSetting("GUEST", value=str(program.path), allowed=f"a WebAssembly program ({reason})") from error
    if start is None:
        allowed = f"a core module that exports _start, or a component that exports {_RUN}0.2"
        raise BadSetting("GUEST", value=str(program.path), allowed=allowed)
    try:
        result = start(store)
    except ExitTrap as error:
        return error.code
    except (WasmtimeError, Trap) as error:
        sys.stderr.write(f"scalezero: {program.path.name} was stopped: {error}\n")
        return TRAPPED
    return int(getattr(result, "tag", "ok") == "err")


def configuration() -> Any:  # noqa: ANN401 - wasmtime is imported for a guest only
    """Return the configuration of the engine: it keeps compiled guests in the user's cache, as `wasmtime run` does."""
    from wasmtime import Config, WasmtimeError

    configuration = Config()
    try:
        configuration.cache = True
    except WasmtimeError:  # no home, or one that cannot be written to
        return Config()
    return configuration


def _set_wasi(store: "Store", program: Program) -> None:
    from wasmtime import WasiConfig

    from runtime.wasm.granting import FolderUnavailable, allow, set_wasi

    wasi = WasiConfig()
    wasi.argv = [program.path.name, *program.arguments]
    wasi.env = program.environ
    wasi.inherit_stdin()
    wasi.inherit_stdout()
    wasi.inherit_stderr()
    try:
        allow(wasi, program.access)
    except FolderUnavailable as error:
        allowed = "a folder that this process can open"
        raise BadSetting("--dir", value=error.folder.path, allowed=allowed) from error
    set_wasi(store, wasi, network=program.access.network)


def _module(engine: "Engine", store: "Store", content: bytes, nn: NnSession) -> Any:  # noqa: ANN401 - a function of wasmtime
    from wasmtime import Func, Linker, Module

    linker = Linker(engine)
    linker.define_wasi()
    add_to_linker(linker, nn)
    start = linker.instantiate(store, Module(engine, content)).exports(store).get("_start")
    return start if isinstance(start, Func) else None


def _component(engine: "Engine", store: "Store", content: bytes, nn: NnSession, *, network: bool) -> Any:  # noqa: ANN401 - as above
    from wasmtime.component import Component, Linker

    from runtime.wasm.granting import add_wasi

    linker = Linker(engine)
    add_wasi(linker, network=network)
    add_to_component_linker(linker, nn)
    component = Component(engine, content)
    instance = linker.instantiate(store, component)
    name = next((each for each in component.type.exports(engine) if each.startswith(_RUN)), None)
    interface = component.get_export_index(name) if name else None
    index = component.get_export_index("run", interface) if interface else None
    return instance.get_func(store, index) if index else None
