"""Compiled code runs in a process with the same key, and is refused in any other."""

from pathlib import Path

import pytest

from runtime.errors import FunctionFailed
from runtime.variants.cpu_class import cpu_class
from runtime.wasm import Limits
from runtime.wasm.binary import Kind
from runtime.wasm.code import StaleCode, compile_code, load_code, serialize
from runtime.wasm.engine import code_key
from runtime.wasm.guest import Call, Guest
from tests import guests

LIMITS = Limits(seconds=60, memory=2**20, output=2**20)


@pytest.mark.parametrize(
    ("text", "kind"), [(guests.ECHO, Kind.CORE), (guests.COMPONENT_ECHO, Kind.COMPONENT)], ids=["core", "component"]
)
def test_compiled_code_answers_as_its_guest(text: str, kind: Kind, tmp_path: Path) -> None:
    path = tmp_path / "code"
    path.write_bytes(serialize(compile_code(guests.binary(text), name="main.wasm")))
    loaded = Guest(load_code(path, kind=kind, name="main.wasm"), LIMITS)
    assert loaded.run(Call(["main.wasm"], [], b"x")) == guests.HEAD.encode() + b"x"


def test_code_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    import wasmtime

    other = tmp_path / "other"  # of an engine with another configuration
    other.write_bytes(wasmtime.Module(wasmtime.Engine(), guests.binary(guests.ECHO)).serialize())
    with pytest.raises(StaleCode, match="epoch interruption"):
        load_code(other, kind=Kind.CORE, name="main.wasm")
    other.write_bytes(b"no code")
    with pytest.raises(StaleCode):
        load_code(other, kind=Kind.CORE, name="main.wasm")
    other.write_bytes(serialize(compile_code(guests.binary(guests.ECHO), name="main.wasm")))
    with pytest.raises(StaleCode):
        load_code(other, kind=Kind.COMPONENT, name="main.wasm")


def test_the_key_names_the_version_and_the_cpu_class() -> None:
    import importlib.metadata

    key = code_key()
    assert key.compiler.startswith(f"wasmtime-{importlib.metadata.version('wasmtime')}-")
    assert key.cpu == cpu_class()


@pytest.mark.parametrize(
    ("binary", "reason"),
    [
        (b"(module)", "text format"),
        (guests.binary("(module)")[:8] + b"garbage", "it is not valid WebAssembly: "),
        (b"", "it starts with b''"),
    ],
)
def test_a_binary_that_is_not_valid_is_named(binary: bytes, reason: str) -> None:
    with pytest.raises(FunctionFailed, match=rf"the function in main\.wasm cannot be loaded: .*{reason}"):
        compile_code(binary, name="main.wasm")
