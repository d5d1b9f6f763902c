"""`scalezero quantize` on real models."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from runtime.cli import scalezero
from tests.runtime.optimizing import optimizable_models as models

TRAIN = """
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from tests.runtime.optimizing.optimizable_models import linear_classifier


def train(version, out):
    print("an author's train.py may print")
    x = np.array([[0, 1], [1, 0], [0, 2], [2, 0]], np.float32)
    return SimpleNamespace(
        path=linear_classifier(out / "m.onnx"),
        metrics={},
        calibration={"x": x},
        evaluation={"x": x, "label": np.array(LABELS)},
    )
"""
RESOURCES = """
apiVersion: ml.example.com/v1
kind: ModelVersion
metadata: {name: linear-v1}
spec: {modelName: linear, version: "1.0.0", format: onnx, storage: {type: s3, path: "s3://models/linear.onnx"}}
---
apiVersion: ml.example.com/v1
kind: InferenceConfig
metadata: {name: linear-config}
spec: {batchSize: 4}
---
apiVersion: ml.example.com/v1
kind: ModelOptimization
metadata: {name: linear-optimization}
spec: {quantization: {maxAccuracyLoss: 0.25, minSpeedup: 3}}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Run in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def folder(here: Path) -> Path:
    """Write a function's folder whose model has no operator that can be quantized."""
    place = here / "linear"
    place.mkdir()
    (place / "model.yaml").write_text(RESOURCES)
    (place / "train.py").write_text(TRAIN.replace("LABELS", "[1, 0, 1, 1]"))
    return place


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(scalezero, ["quantize", *arguments])
    assert result.exit_code == code, result.output
    return result.stdout if code == 0 else result.output


def test_a_model_gets_a_table_the_reason_and_a_report(here: Path) -> None:
    models.linear_classifier(here / "m.onnx")
    lines = run("m.onnx").splitlines()
    assert lines[0] == "m:"
    assert lines[2].startswith("bounds: a speedup of at least 1.1")
    assert lines[3].startswith("chosen: original: the accuracy of the candidates cannot be judged")
    assert lines[4].split()[0] == "VARIANT"
    assert lines[5].split()[:2] == ["original", "CPU"]
    assert lines[-1] == "report: m.variants/report.json, m.variants/report.png"
    assert sorted(each.name for each in (here / "m.variants").iterdir()) == ["report.json", "report.png"]


def test_the_options_state_data_bounds_and_places(here: Path) -> None:
    models.mlp(here / "m.onnx")
    np.savez(here / "rows.npz", x=np.random.default_rng(1).standard_normal((20, 16)).astype(np.float32))
    options = ("--batch-size", "4", "--max-accuracy-loss", "1", "--min-speedup", "1000", "--report", "plot.png")
    output = run("m.onnx", "--evaluation", "rows.npz", "--out", "out", *options, "--output", "json")
    assessment = json.loads(output)["assessment"]
    assert (assessment["batchSize"], assessment["maxAccuracyLoss"], assessment["minSpeedup"]) == (4, 1.0, 1000.0)
    assert (assessment["metric"], assessment["chosen"]) == ("agreement", "original")
    assert json.loads((here / "out" / "report.json").read_text()) == json.loads(output)
    assert (here / "plot.png").is_file()


def test_a_folder_is_trained_and_judged_on_the_data_of_its_train_py(folder: Path) -> None:
    (result,) = json.loads(run(str(folder), "--output", "json"))
    assessment = result["assessment"]
    assert result["model"] == "linear-1.0.0"
    assert (assessment["metric"], assessment["score"]) == ("accuracy", 0.75)
    assert (assessment["batchSize"], assessment["maxAccuracyLoss"], assessment["minSpeedup"]) == (4, 0.25, 3.0)
    assert Path("linear-1.0.0.variants/report.json").is_file()


def test_a_train_py_that_cannot_know_the_model_is_refused_before_any_training(folder: Path) -> None:
    other = RESOURCES.partition("---")[0].replace("linear", "other")
    (folder / "model.yaml").write_text(f"{RESOURCES}---{other}")
    (folder / "train.py").write_text("def train(version, out):\n    raise RuntimeError('it trains')\n")
    assert "cannot tell the models linear, other apart" in run(str(folder), code=2)


def test_without_matplotlib_nothing_is_measured(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models.linear_classifier(here / "m.onnx")
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert "matplotlib is not installed: pip install 'scalezero[optimize]'" in run("m.onnx", code=2)
    assert not (here / "m.variants").exists()


def test_a_file_of_an_earlier_run_does_not_stay(here: Path) -> None:
    models.linear_classifier(here / "m.onnx")
    (here / "m.variants").mkdir()
    (here / "m.variants" / "int8-nncf.onnx").write_bytes(b"stale")
    assert json.loads(run("m.onnx", "-o", "json"))["assessment"]["batchSize"] == 32
    assert sorted(each.name for each in (here / "m.variants").iterdir()) == ["report.json", "report.png"]


def test_an_option_wins_over_the_resources_of_a_folder(folder: Path) -> None:
    (result,) = json.loads(run(str(folder), "--min-speedup", "2", "--out", "out", "--output", "json"))
    assert (result["assessment"]["minSpeedup"], result["assessment"]["maxAccuracyLoss"]) == (2.0, 0.25)
    assert Path("out/report.json").is_file()


def test_data_of_a_train_py_that_does_not_fit_is_an_error(folder: Path) -> None:
    (folder / "train.py").write_text(TRAIN.replace("LABELS", "[1, 0, 1]"))
    output = run(str(folder), code=2)
    assert "train.py: evaluation: label: got shape [3]; expected one label for each of 4 rows" in output


def test_declared_data_in_s3_is_an_error_with_the_next_step(folder: Path) -> None:
    text = RESOURCES.replace("minSpeedup: 3", "minSpeedup: 3, evaluation: 's3://data/rows.npz'")
    (folder / "model.yaml").write_text(text)
    assert "download it and pass --evaluation FILE" in run(str(folder), code=2)
    rows = np.array([[0, 1], [1, 0]], np.float32)
    np.savez("rows.npz", x=rows, label=np.array([1, 0]))
    (result,) = json.loads(run(str(folder), "--evaluation", "rows.npz", "--output", "json"))
    assert result["assessment"]["metric"] == "accuracy"


def test_a_folder_without_a_train_py_is_an_error(folder: Path) -> None:
    (folder / "train.py").unlink()
    assert "train.py: the file does not exist; write it with train(version, out)" in run(str(folder), code=2)


@pytest.mark.parametrize(
    ("option", "value"), [("--batch-size", "0"), ("--min-speedup", "0.5"), ("--max-accuracy-loss", "2")]
)
def test_a_bound_out_of_range_is_an_error(here: Path, option: str, value: str) -> None:
    models.linear_classifier(here / "m.onnx")
    assert f"Invalid value for '{option}'" in run("m.onnx", option, value, code=2)


def test_a_file_that_is_no_model_is_an_error(here: Path) -> None:
    (here / "m.onnx").write_text("<html>")
    assert "m.onnx" in run("m.onnx", code=2)
