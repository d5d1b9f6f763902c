"""A command that SIGTERM ends leaves no files and no processes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import ROOT
from tests.runtime.optimizing import optimizable_models
from tests.waiting import DEADLINE, eventually


@pytest.mark.parametrize("command", ["publish", "quantize"])
def test_a_command_that_is_ended_while_it_makes_files_leaves_none(tmp_path: Path, command: str) -> None:
    (work := tmp_path / "tmp").mkdir()
    path = optimizable_models.mlp(tmp_path / "m.onnx", width=512)
    np.savez(tmp_path / "rows.npz", x=np.ones((20, 512), np.float32))
    places = {"publish": [f"{tmp_path}/registry/m.onnx"], "quantize": ["--out", str(work / "out")]}
    arguments = [command, str(path), *places[command], "--calibration", str(tmp_path / "rows.npz")]
    process = subprocess.Popen(
        [sys.executable, "-c", "from runtime.cli import main; main()", *arguments],
        env={**os.environ, "TMPDIR": str(work)},
        cwd=ROOT,
    )
    eventually(lambda: bool(list(work.glob("**/job.json"))))  # the process that makes int8 files runs
    process.terminate()
    assert process.wait(DEADLINE) == 128 + signal.SIGTERM
    assert [each for each in work.rglob("*") if each.name != "out"] == []
    assert not (tmp_path / "registry").exists()
