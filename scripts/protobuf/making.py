"""Generates Python modules and their type stubs from .proto files.

The modules of protoc register themselves in protobuf's default pool and reject a runtime that is older than the
compiler. The modules written here contain the same serialized descriptor and pass it to runtime.protocols.protos.pool.
The type stubs are those of protoc.
"""

import ast
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

WIDTH: Final = 110  # columns; the longest line of the serialized descriptor
PACKAGE: Final = "runtime.protocols.protos"
MODULE: Final = '''\
"""Made by scripts/protos from {name}.proto; a change here is lost when it runs again."""

{imports}

DESCRIPTOR = define(
    globals(),
{literal},
    imports=[{descriptors}],
)
'''


def generate(protos: Path, *, compiler: Path) -> dict[str, str]:
    """Return the text of each generated file by its name. `compiler` is a Python interpreter with grpcio-tools.

    Raises subprocess.CalledProcessError if a .proto file is invalid; protoc prints the reason to stderr.
    """
    sources = sorted(protos.glob("*.proto"))
    with tempfile.TemporaryDirectory() as folder:
        command = ["-m", "grpc_tools.protoc", f"-I{protos}", f"--python_out={folder}", f"--pyi_out={folder}"]
        subprocess.run([compiler, *command, *sources], check=True)
        return dict(_files(sources, made=Path(folder)))


def _files(sources: list[Path], *, made: Path) -> Iterator[tuple[str, str]]:
    for source in sources:
        name = source.stem
        yield f"{name}_pb2.py", module(name, source.read_text(), descriptor((made / f"{name}_pb2.py").read_text()))
        yield f"{name}_pb2.pyi", types((made / f"{name}_pb2.pyi").read_text())


def descriptor(text: str) -> bytes:
    """Return the serialized FileDescriptorProto in a module of protoc. Raises ValueError if it has none."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.Call(func=ast.Attribute(attr="AddSerializedFile"), args=[ast.Constant(value=bytes(found))]):
                return found
    raise ValueError(
        "the module of protoc does not call AddSerializedFile with a bytes literal; adapt descriptor() to this version"
    )


def module(name: str, source: str, serialized: bytes) -> str:
    """Render the module of NAME.proto."""
    names = re.findall(r'^import "(.+)\.proto";', source, re.MULTILINE)
    modules = [(_package(each), f"{each.rpartition('/')[2]}_pb2") for each in names]
    lines = [*(f"from {package} import {each}" for package, each in modules), f"from {PACKAGE}.pool import define"]
    return MODULE.format(
        name=name,
        imports="\n".join(lines),
        literal=_literal(serialized),
        descriptors=", ".join(f"{each}.DESCRIPTOR" for _, each in modules),
    )


def types(text: str) -> str:
    """Rewrite a type stub of protoc: imports from this package, and complete types for mypy's strict mode."""
    text = re.sub(r"^import (\w+_pb2) as", rf"from {PACKAGE} import \1 as", text, flags=re.MULTILINE)
    return text.replace("_Mapping]", "_Mapping[str, object]]")


def _package(proto: str) -> str:
    return "google.protobuf" if proto.startswith("google/protobuf/") else PACKAGE


def _literal(serialized: bytes) -> str:
    """Split bytes into lines of at most WIDTH columns, as Python literals."""
    lines, start = [], 0
    while start < len(serialized):
        end = start + 1
        while end < len(serialized) and len(repr(serialized[start : end + 1])) <= WIDTH:
            end += 1
        lines.append(f"    {serialized[start:end]!r}")
        start = end
    return "\n".join(lines)
