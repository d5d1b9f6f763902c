"""A cold start pays for what it imports: the packages stay light, whatever grows inside them."""

import subprocess
import sys

import pytest

HEAVY = ("boto3", "flask", "google.protobuf", "kubernetes", "msgspec", "numpy", "onnxruntime", "uvicorn")


@pytest.mark.parametrize("module", ["runtime", "runtime.settings", "runtime.errors", "runtime.artifacts"])
def test_importing_loads_no_heavy_library(module: str) -> None:
    code = f"import {module}, sys; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_the_probe_sees_a_heavy_library() -> None:
    code = f"import numpy, sys; print(*(name for name in {HEAVY!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["numpy"]
