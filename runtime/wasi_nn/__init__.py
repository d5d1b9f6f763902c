"""The host of WASI-NN: WebAssembly guests ask for inference, and the models of this process answer.

    guest ──► ABI: witx (core modules), components or nn_0_1_0 ──► session (handles, checks) ──► backend ──► service

Only the ABIs import wasmtime (the extra `scalezero[wasm]`), in the functions that need it.
"""

from collections.abc import Container
from typing import TYPE_CHECKING

from runtime.wasi_nn import byte_lists
from runtime.wasi_nn.components import add_interfaces
from runtime.wasi_nn.nn_0_1_0 import add_interface
from runtime.wasi_nn.session import Limits, NnSession
from runtime.wasi_nn.witx import add_to_linker

if TYPE_CHECKING:
    from wasmtime import Linker
    from wasmtime.component import Linker as ComponentLinker

    from runtime.wasi_nn.backend import Backend

__all__ = ["Limits", "NnExtension", "NnSession", "add_to_component_linker", "add_to_linker"]


def add_to_component_linker(linker: "ComponentLinker", nn: NnSession) -> None:
    """Define all interfaces of WASI-NN for the instance of a component that the session belongs to."""
    byte_lists.install()
    add_interfaces(linker, nn)
    add_interface(linker, nn)


class NnExtension:
    """A session and the interfaces that reach it, for one instance of a core module or a component.

    The instance keeps it. `close` ends the session when the instance has ended, and drops the graphs that it used.
    """

    def __init__(self, backend: "Backend", limits: Limits | None = None) -> None:
        """Create a session; `limits` None: the defaults."""
        self.session = NnSession(backend, limits or Limits())

    def add_to_linker(self, linker: "Linker", imported: Container[tuple[str, str]]) -> None:
        """Define the functions for a core module that imports these (module, name)."""
        add_to_linker(linker, self.session, imported)

    def add_to_component_linker(self, linker: "ComponentLinker") -> None:
        """Define the interfaces that components import."""
        add_to_component_linker(linker, self.session)

    def close(self) -> None:
        """Drop what the instance holds in the host."""
        self.session.close()
