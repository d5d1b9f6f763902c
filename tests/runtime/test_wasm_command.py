"""`scalezero wasm run` runs a guest with the streams, the arguments and the exit code of a program."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import wasmtime

from tests import models
from tests.runtime.wasi_nn.building import (
    SOURCES,
    assemblyscript_guest,
    c_guest,
    python_guest,
    reaching_guest,
    requesting_guest,
)

pytestmark = pytest.mark.timeout(900)  # a guest is built, and compiled, when it is first used
ROWS = np.array([[1, 2], [0.1, -3]], np.float32)
DOUBLED = (ROWS * 2).tobytes()
SCALEZERO = Path(sys.executable).parent / "scalezero"
NOT_FOUND = 18  # rows.c exits with 10 and the number of the error


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return models.doubling(tmp_path / "m.onnx")


@pytest.fixture(scope="module")
def rows() -> Path:
    return c_guest(SOURCES / "c" / "rows.c")


def wat(folder: Path, body: str) -> Path:
    path = folder / "guest.wasm"
    path.write_bytes(wasmtime.wat2wasm(f"(module {body})"))
    return path


def run(*arguments: str | Path, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([SCALEZERO, "wasm", "run", *arguments], input=data, capture_output=True, check=False)


def test_a_program_in_c_computes_on_a_model_by_its_name(rows: Path, model: Path) -> None:
    done = run("--model", f"m={model}", rows, "m", "2", data=ROWS.tobytes())
    assert (done.returncode, done.stdout, done.stderr) == (0, DOUBLED, b"")


def test_a_program_in_c_passes_a_model_from_a_folder(rows: Path, model: Path) -> None:
    done = run("--dir", f"{model.parent}::/models", rows, "@/models/m.onnx", "2", data=ROWS.tobytes())
    assert (done.returncode, done.stdout, done.stderr) == (0, DOUBLED, b"")


@pytest.mark.parametrize(("mode", "error"), [("", b"0"), ("::ro", b"63")])  # 63: not permitted
def test_a_folder_may_be_read_only(tmp_path: Path, mode: str, error: bytes) -> None:
    done = run("--dir", f"{tmp_path}::/d{mode}", c_guest(SOURCES / "c" / "files.c"), "create", "/d/new")
    assert (done.returncode, done.stdout.split()[-1]) == (0, error)
    assert (tmp_path / "new").exists() == (mode == "")


def test_only_with_a_network_a_component_looks_up_names() -> None:
    guest = reaching_guest()
    assert b"gaierror" in run(guest, "name=localhost").stdout
    done = run("--network", guest, "name=localhost")
    assert (done.returncode, b"gaierror" in done.stdout) == (0, False)


def test_only_with_a_network_a_component_sends_requests() -> None:
    guest = requesting_guest()
    refused = run(guest, "127.0.0.1:1", "/")
    assert (refused.returncode, b"imports instance `wasi:http/" in refused.stderr) == (2, True)
    done = run("--network", guest, "127.0.0.1:1", "/")
    assert (done.returncode, b"ErrorCode_ConnectionRefused" in done.stdout) == (0, True)


def test_a_component_in_python_computes(model: Path) -> None:
    guest = python_guest()
    done = run("--model", f"m={model}", guest, "m", "2", data=ROWS.tobytes())
    assert (done.returncode, done.stdout, done.stderr) == (0, DOUBLED, b"")
    failed = run("--model", f"m={model}", guest, "other", "2", data=ROWS.tobytes())
    assert failed.returncode == 1
    assert b"NOT_FOUND: model 'other' is not served; served: m" in failed.stderr


def test_a_program_in_assemblyscript_computes(model: Path) -> None:
    done = run("--model", f"m={model}", assemblyscript_guest("rows"))
    assert (done.returncode, done.stdout, done.stderr) == (0, (ROWS[:1] * 2).tobytes(), b"")


def test_the_exit_code_is_that_of_the_guest(rows: Path) -> None:
    done = run(rows)
    assert (done.returncode, done.stderr) == (2, b"usage: rows NAME|@FILE WIDTH\n")


def test_a_failed_call_is_logged_with_its_reason(rows: Path) -> None:
    done = run(rows, "m", "2", data=ROWS.tobytes())
    assert done.returncode == NOT_FOUND
    assert b"model 'm' is not served; served: none" in done.stderr


def test_a_file_is_not_found_without_its_folder(rows: Path, model: Path) -> None:
    assert run(rows, f"@{model}", "2").returncode == 3


def test_a_host_may_refuse_models_from_bytes(rows: Path, model: Path) -> None:
    done = run("--max-model-bytes", "0", "--dir", f"{model.parent}::/m", rows, "@/m/m.onnx", "2", data=ROWS.tobytes())
    assert (done.returncode, b"loads no model from bytes" in done.stderr) == (16, True)


def test_a_guest_that_traps_ends_with_134(tmp_path: Path) -> None:
    done = run(wat(tmp_path, '(func (export "_start") unreachable)'))
    assert done.returncode == 134
    assert b"guest.wasm was stopped" in done.stderr


ENVIRONMENT = """
(import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
(memory (export "memory") 1)
(func (export "_start") (drop (call $sizes (i32.const 0) (i32.const 4))) (call $exit (i32.load (i32.const 0))))
"""


def test_the_guest_gets_only_the_variables_that_are_named(tmp_path: Path) -> None:
    guest = wat(tmp_path, ENVIRONMENT)
    assert run(guest).returncode == 0
    assert run("--env", "A=1", "--env", "B=x=y", guest).returncode == 2


ARGUMENTS = ENVIRONMENT.replace("environ_sizes_get", "args_sizes_get")


def test_what_stands_after_the_guest_is_for_the_guest(tmp_path: Path) -> None:
    guest = wat(tmp_path, ARGUMENTS)
    assert run(guest, "--dir", "/missing", "--help", "-x").returncode == 5
    assert run("--other", guest).returncode == 2


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("", "expected a core module that exports _start, or a component that exports wasi:cli/run@0.2"),
        ('(memory (export "_start") 1)', "expected a core module that exports _start"),
        ('(import "other" "f" (func)) (func (export "_start"))', "unknown import: `other::f` has not been defined"),
    ],
)
def test_a_guest_that_cannot_run_is_an_error_of_one_line(tmp_path: Path, body: str, reason: str) -> None:
    done = run(wat(tmp_path, body))
    assert done.returncode == 2
    assert reason in done.stderr.decode()
    assert len(done.stderr.splitlines()) == 1


def test_a_file_that_is_no_guest_is_an_error_of_one_line(model: Path) -> None:
    done = run(model)
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert b"expected a WebAssembly program" in done.stderr


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--model", "m"], "expected NAME=VALUE"),
        (["--model", "a/b=m.onnx"], "expected a NAME that is"),
        (["--model", "m=/missing.onnx"], "an ONNX file that exists"),
        (["--model", "m=ftp://host/m.onnx"], "expected"),
        (["--dir", "/missing"], "HOST is a folder on this machine"),
        (["--dir", "/::/a::rw"], "expected HOST[::GUEST[::ro]]"),
        (["--dir", "/::/a::ro::x"], "expected HOST[::GUEST[::ro]]"),
        (["--env", "=1"], "expected NAME=VALUE"),
    ],
)
def test_a_wrong_option_is_an_error_of_one_line(rows: Path, options: list[str], reason: str) -> None:
    done = run(*options, rows)
    assert done.returncode == 2
    assert reason in done.stderr.decode()
    assert len(done.stderr.splitlines()) == 1


def test_a_name_has_one_model(rows: Path, model: Path) -> None:
    done = run("--model", f"m={model}", "--model", f"m={model}", rows)
    assert (done.returncode, b"expected one model with the name m" in done.stderr) == (2, True)


def test_without_wasmtime_the_error_names_the_extra(rows: Path) -> None:
    code = "import sys; sys.modules['wasmtime'] = None; from runtime.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code, "wasm", "run", rows], capture_output=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [b"scalezero: wasmtime is not installed: pip install 'scalezero[wasm]'"]


WRITE = """
(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
(memory (export "memory") 1)
(data (i32.const 0) "\\08\\00\\00\\00\\01\\00\\00\\00.")
(func (export "_start") (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16))) (loop (br 0)))
"""


@contextmanager
def started(guest: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen([SCALEZERO, "wasm", "run", guest], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_ctrl_c_ends_a_guest_that_loops(tmp_path: Path) -> None:
    with started(wat(tmp_path, WRITE)) as process:
        assert process.stdout is not None
        assert os.read(process.stdout.fileno(), 1) == b"."
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
