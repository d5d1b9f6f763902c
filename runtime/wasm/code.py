"""Compiles a guest, and reads and writes compiled code.

Compiled code is machine code: whoever writes it decides what the process does. So read it only from a file whose digest
is pinned. wasmtime refuses code of another version, configuration or CPU.
"""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import wasmtime

from runtime.errors import FunctionFailed
from runtime.wasm.binary import Kind, kind_of
from runtime.wasm.engine import engine
from runtime.wasm.faults import summary

if TYPE_CHECKING:
    from wasmtime.component import Component


class Code(NamedTuple):
    """The code of a guest, ready to be instantiated."""

    name: str  # of the guest's file, for messages
    program: "wasmtime.Module | Component"


class StaleCode(Exception):
    """The compiled code does not fit this process: another version of wasmtime, configuration or CPU, or no code."""


def compile_code(binary: bytes, *, name: str) -> Code:
    """Compile a guest on all CPUs, without the GIL. Raises `FunctionFailed` for a binary that is not valid."""
    try:
        program = _type(kind_of(binary))(engine().wasmtime, binary)
    except ValueError as error:
        raise FunctionFailed(name, str(error)) from error
    except wasmtime.WasmtimeError as error:
        raise FunctionFailed(name, f"it is not valid WebAssembly: {summary(error)}") from error
    return Code(name, program)


def serialize(code: Code) -> bytes:
    """Return the compiled code, for `load_code` in a process with the same key (`engine.code_key`)."""
    return bytes(code.program.serialize())


def load_code(path: Path, *, kind: Kind, name: str) -> Code:
    """Map compiled code, which must be trusted, from a file into memory. Raises `StaleCode`."""
    try:
        return Code(name, _type(kind).deserialize_file(engine().wasmtime, str(path)))
    except wasmtime.WasmtimeError as error:
        raise StaleCode(summary(error)) from error


def _type(kind: Kind) -> "type[wasmtime.Module | Component]":
    if kind is Kind.CORE:
        return wasmtime.Module
    from wasmtime.component import Component  # a core module does not need this import of 10 ms

    return Component
