"""What a guest may import: WASI (preview 1 for core modules, 0.2 for components) and the extensions of the host.

An extension is created for each instance, because it holds what belongs to one guest, such as its handles. Its host
functions must not raise: wasmtime's package passes an exception between threads. They return error codes, and trap by
a function of the guest's ABI.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import wasmtime
from wasmtime.component import Linker as ComponentLinker

from runtime.wasm.engine import engine


class Extension(Protocol):
    """Host functions beside WASI's, for one instance."""

    def add_to_linker(self, linker: wasmtime.Linker) -> None:
        """Define the functions that core modules import."""

    def add_to_component_linker(self, linker: ComponentLinker) -> None:
        """Define the interfaces that components import."""


Extensions = Sequence[Callable[[], Extension]]


def core_linker(extensions: Extensions = ()) -> wasmtime.Linker:
    """Return a linker for core modules, with a new object of each extension."""
    linker = wasmtime.Linker(engine().wasmtime)
    linker.define_wasi()
    for create in extensions:
        create().add_to_linker(linker)
    return linker


def component_linker(extensions: Extensions = ()) -> ComponentLinker:
    """Return a linker for components, with a new object of each extension."""
    linker = ComponentLinker(engine().wasmtime)
    linker.add_wasip2()
    for create in extensions:
        create().add_to_component_linker(linker)
    return linker
