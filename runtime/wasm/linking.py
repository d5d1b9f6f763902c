"""What a guest may import: WASI (preview 1 for core modules, 0.2 for components) and the extensions of the host.

An extension is created for each instance, because it holds what belongs to one guest, such as its handles; it is closed
when the instance has ended. Its host functions must not raise: wasmtime's package passes an exception between threads.
They return error codes, and trap by a function of the guest's ABI.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Protocol

import wasmtime
from wasmtime.component import Linker as ComponentLinker

from runtime.wasm.engine import engine
from runtime.wasm.granting import add_wasi


class Extension(Protocol):
    """Host functions beside WASI's, for one instance."""

    def add_to_linker(self, linker: wasmtime.Linker) -> None:
        """Define the functions that core modules import."""

    def add_to_component_linker(self, linker: ComponentLinker) -> None:
        """Define the interfaces that components import."""

    def close(self) -> None:
        """Drop what the instance holds in the host."""


Extensions = Sequence[Callable[[], Extension]]


@contextmanager
def opened(extensions: Extensions) -> Iterator[list[Extension]]:
    """Yield a new object of each extension, for one instance; close them at the end."""
    with ExitStack() as stack:
        created = [create() for create in extensions]
        for each in created:
            stack.callback(each.close)
        yield created


def core_linker(extensions: Sequence[Extension] = ()) -> wasmtime.Linker:
    """Return a linker for core modules, with the host functions of the extensions."""
    linker = wasmtime.Linker(engine().wasmtime)
    linker.define_wasi()
    for each in extensions:
        each.add_to_linker(linker)
    return linker


def component_linker(extensions: Sequence[Extension] = (), *, network: bool = False) -> ComponentLinker:
    """Return a linker for components, with the interfaces of the extensions, and with `network` with those of HTTP."""
    linker = ComponentLinker(engine().wasmtime)
    add_wasi(linker, network=network)
    for each in extensions:
        each.add_to_component_linker(linker)
    return linker
