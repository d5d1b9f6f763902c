"""Tests that the packages import no heavy libraries, because imports make a cold start slower."""

import subprocess
import sys

import pytest

HEAVY = ("boto3", "flask", "google.protobuf", "kubernetes", "msgspec", "numpy", "onnxruntime", "uvicorn", "wasmtime")


@pytest.mark.parametrize(
    "module",
    ["runtime", "runtime.settings", "runtime.errors", "runtime.artifacts", "runtime.wasm", "runtime.wasm_command"],
)
def test_the_import_loads_no_heavy_library(module: str) -> None:
    code = f"import {module}, sys; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize(
    ("module", "others"),
    [
        ("runtime.loading", ("runtime.published", "runtime.variants.values")),
        ("runtime.published.serving", ("runtime.registry", "runtime.variants.values")),
    ],
)
def test_a_start_imports_no_values_of_publishing(module: str, others: tuple[str, ...]) -> None:
    """A pod reads no manifest, and `serve` outside of a pod imports them only for a model that has one."""
    code = f"import {module}, sys; print(*(name for name in {(*HEAVY, *others)!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_a_heavy_library_is_detected() -> None:
    code = f"import numpy, sys; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["numpy"]


def test_the_host_of_wasi_nn_imports_wasmtime_only_for_a_guest() -> None:
    """It is an extra, and its import takes 30 ms."""
    code = "import runtime.wasi_nn, sys; print('wasmtime' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False"]
