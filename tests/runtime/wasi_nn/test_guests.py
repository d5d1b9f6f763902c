"""A guest in any language gets the bits that a Python function gets from the same model."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest

from runtime import author
from runtime.author import predicting
from runtime.settings import Settings
from tests import models
from tests.runtime.wasi_nn.building import SOURCES, c_guest, python_guest
from tests.runtime.wasi_nn.serving import serving

pytestmark = pytest.mark.timeout(900)  # a guest is built, and compiled, when it is first used
WIDTH = 16


def network(path: Path) -> Path:
    """`y` = tanh(x W + b), float32 [batch, 16] -> [batch, 16]."""
    random = np.random.default_rng(1)
    nodes = [onnx.helper.make_node("Gemm", ["x", "w", "b"], ["sum"]), onnx.helper.make_node("Tanh", ["sum"], ["y"])]
    shape: models.Axes = ["batch", WIDTH]
    return models.save(
        path,
        nodes,
        [models.value("x", models.FLOAT, shape)],
        [models.value("y", models.FLOAT, shape)],
        17,
        w=random.normal(size=(WIDTH, WIDTH)).astype(np.float32),
        b=random.normal(size=WIDTH).astype(np.float32),
    )


@pytest.mark.parametrize("guest", [lambda: c_guest(SOURCES / "c" / "rows.c"), python_guest], ids=["C", "Python"])
def test_the_outputs_have_the_same_bits(tmp_path: Path, guest: Callable[[], Path]) -> None:
    model = network(tmp_path / "m.onnx")
    rows = np.random.default_rng(2).normal(size=(7, WIDTH)).astype(np.float32)
    with serving(Settings(model_uri=str(model), load="lazy", threads=1, cache_dir=tmp_path / "cache")) as this:
        author.attach(this.service, this.loop)
        try:
            expected = author.model("m").predict(rows).outputs["y"]
        finally:
            author.detach()
            predicting._ended.clear()  # this process continues
    scalezero = Path(sys.executable).parent / "scalezero"
    command: list[str | Path] = [scalezero, "wasm", "run", "--model", f"m={model}", guest(), "m", str(WIDTH)]
    environment = os.environ | {"SCALEZERO_THREADS": "1"}  # another number may add in another order
    done = subprocess.run(command, env=environment, input=rows.tobytes(), capture_output=True, check=True)
    assert done.stdout == expected.tobytes()
    assert np.unique(expected).size > WIDTH
