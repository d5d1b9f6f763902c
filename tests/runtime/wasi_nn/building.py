"""Guests in C, Python and AssemblyScript. Each is built once for its sources and kept in .local/guests."""

import fcntl
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Final

import runtime.wasi_nn
from tests import ROOT

KEPT: Final = ROOT / ".local" / "guests"
SOURCES: Final = Path(__file__).parent / "sources"
WIT: Final = Path(runtime.wasi_nn.__file__).parent / "wit"
ASSEMBLYSCRIPT: Final = "assemblyscript@0.28.20"
REQUIREMENTS: Final = "scripts/cluster requirements --install"


def python_guest() -> Path:
    """Return the component of `sources/python`, over the interfaces of WIT and those of a program."""
    return component_guest("python", WIT, SOURCES / "wasi-cli")


def component_guest(name: str, *interfaces: Path) -> Path:
    """Return the component of the Python program in `sources/NAME`, whose world is NAME, over folders of WIT files."""
    folder = SOURCES / name

    def build(target: Path) -> None:
        dependencies = target.parent / "wit" / "deps"
        for each in interfaces:
            shutil.copytree(each, dependencies if each == WIT else dependencies / each.name, dirs_exist_ok=True)
        shutil.copy(folder / f"{name}.wit", dependencies.parent)
        shutil.copy(folder / "app.py", target.parent)
        tool = str(Path(sys.executable).parent / "componentize-py")
        wit = str(dependencies.parent)
        _run([tool, "-d", wit, "-w", name, "componentize", "app", "-o", str(target)], folder=target.parent)

    sources = sorted(each for top in (folder, *interfaces) for each in top.rglob("*") if each.is_file())
    return _kept(name, [version("componentize-py")], sources, build)


def reaching_guest() -> Path:
    """Return the component that reaches files and the network as its arguments say, through Python's own library."""
    return component_guest("reaching", SOURCES / "wasi-cli")


def requesting_guest() -> Path:
    """Return the component that sends an HTTP request, through wasi:http."""
    return component_guest("requesting", SOURCES / "wasi-cli", SOURCES / "wasi-http", SOURCES / "wasi-io")


def c_guest(source: Path, *options: str) -> Path:
    """Return the core module of a C program, built with Debian's clang, lld and wasi-libc."""
    _require("clang", "wasm-ld")
    compiler = _run(["clang", "--version"], folder=source.parent)

    def build(target: Path) -> None:
        _run(["clang", "--target=wasm32-wasi", "-O2", "-Wall", "-Werror", *options, source, "-o", target], folder=ROOT)

    return _kept(f"{source.stem}-c", [compiler, *options], [source, *sorted(source.parent.glob("*.h"))], build)


def scripted_guest(folder: Path) -> Path:
    """Return what the script `build` in a function's folder builds."""
    _require("clang", "wasm-ld")
    script = folder / "build"

    def build(target: Path) -> None:
        _run([script, target], folder=ROOT)

    compiler = _run(["clang", "--version"], folder=folder)
    return _kept(folder.name, [compiler], [script, *sorted(folder.glob("*.[ch]"))], build)


def assemblyscript_guest(name: str) -> Path:
    """Return the core module of `sources/assemblyscript/NAME.ts`, whose `_start` runs its top-level statements."""
    _require("node", "npm")
    source = SOURCES / "assemblyscript" / f"{name}.ts"

    def build(target: Path) -> None:
        npm = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", str(target.parent)]
        _run([*npm, ASSEMBLYSCRIPT], folder=target.parent)
        compiler = target.parent / "node_modules" / "assemblyscript" / "bin" / "asc.js"
        options = ["--use", "abort=", "--exportStart", "_start", "--runtime", "stub", "-o", str(target)]
        _run(["node", str(compiler), str(source), *options], folder=target.parent)

    return _kept(f"{name}-assemblyscript", [ASSEMBLYSCRIPT], [source], build)


def compiled_guest(path: Path) -> Path:
    """Return the compiled code of a guest for `runtime.wasm`, as a publisher makes it."""
    from runtime.wasm.code import compile_code, serialize
    from runtime.wasm.engine import code_key

    def build(target: Path) -> None:
        target.write_bytes(serialize(compile_code(path.read_bytes(), name=path.name)))

    return _kept(f"code-{path.stem}", code_key(), [path], build)


def _kept(name: str, facts: Sequence[str], sources: Sequence[Path], build: Callable[[Path], None]) -> Path:
    """Return the file that `build` writes to the path that it gets, if it is not there for these facts and sources."""
    digest = hashlib.sha256("\0".join(facts).encode())
    for each in sources:
        digest.update(each.read_bytes())
    KEPT.mkdir(parents=True, exist_ok=True)
    target = KEPT / f"{name}-{digest.hexdigest()[:16]}.wasm"
    with (KEPT / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            work = KEPT / f"{name}.work"
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            build(work / target.name)
            (work / target.name).rename(target)
            shutil.rmtree(work)
    return target


def _require(*programs: str) -> None:
    missing = [program for program in programs if not shutil.which(program)]
    assert not missing, f"{' and '.join(missing)} not found; on Debian: {REQUIREMENTS}"


def _run(command: Sequence[str | Path], *, folder: Path) -> str:
    done = subprocess.run(
        [*map(str, command)], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout
