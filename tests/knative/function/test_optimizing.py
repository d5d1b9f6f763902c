"""A ModelOptimization makes publish and deploy make and measure variants, once for each CPU class."""

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from knative.function.optimizing import NOT_ONNX, needs_measurement
from knative.function.publishing import plan_function, publish_function
from knative.resources.model_optimization import Quantization
from runtime.errors import DiskFull, InvalidModel
from runtime.registry import published_variants, require_manifest
from runtime.variants.cpu_class import cpu_class
from tests.knative.function.test_publishing import VERSION
from tests.knative.published import assessment
from tests.models import constant, pairs
from tests.runtime.registry.model_files import model
from tests.s3_server import S3Server

OPTIMIZATION = """---
apiVersion: ml.example.com/v1
kind: ModelOptimization
metadata: {name: add-quantization}
spec: {quantization: {enabled: true, maxAccuracyLoss: 0.02, minSpeedup: 1.5}}
"""
TRAINER = """
from collections import namedtuple
from pathlib import Path
from shutil import copy

import numpy as np

Trained = namedtuple("Trained", "path metrics calibration evaluation")
FOLDER = Path(__file__).parent

def train(version, out):
    with open(FOLDER / "trained.txt", "a") as log:
        log.write(version + " ")
    rows = np.arange(8, dtype=np.float32).reshape(8, 1)
    path = copy(FOLDER / "ready.onnx", out / "m.onnx")
    return Trained(path, {}, {"x": rows}, {"x": rows})
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A function's folder with one version and a train.py that returns data; nothing is asked for yet."""
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "model.yaml").write_text(VERSION.format(major=1))
    (tmp_path / "train.py").write_text(TRAINER)
    model(tmp_path, "ready.onnx")
    return tmp_path


@pytest.fixture
def server(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    for name, value in s3.environment().items():
        monkeypatch.setenv(name, value)
    return s3


def enable(folder: Path, text: str = OPTIMIZATION) -> None:
    (folder / "optimization.yaml").write_text(text)


def publish(folder: Path) -> list[str]:
    """Publish what is missing, and return the lines."""
    lines: list[str] = []
    publish_function(folder, only_missing=True, report=lines.append)
    return lines


def uri(folder: Path) -> str:
    return str(folder / "published" / "add-v1.onnx")


def test_a_new_model_is_measured_with_the_bounds_of_the_resource_before_it_is_published(folder: Path) -> None:
    enable(folder)
    assert str(next(iter(plan_function(folder)))).endswith(", after its training; its variants are made and measured")
    lines = publish(folder)
    assert lines[0] == "add 1.0.0: training"
    assert lines[1].startswith("add 1.0.0: original is served on ")
    assert lines[1].endswith(" (Optimized=False, NoInt8Candidate)")
    measured = require_manifest(uri(folder)).assessment
    assert measured is not None
    assert (measured.max_accuracy_loss, measured.min_speedup, measured.batch_size) == (0.02, 1.5, 32)
    assert (measured.metric, measured.chosen) == ("agreement", "original")


def test_a_model_that_was_published_before_is_measured_once(folder: Path) -> None:
    publish(folder)
    manifest = require_manifest(uri(folder))
    assert manifest.assessment is None
    enable(folder)
    assert str(list(plan_function(folder))[-1]) == f"add 1.0.0: measure {uri(folder)}, on {cpu_class()}"
    lines = publish(folder)
    assert lines[:3] == [
        f"add 1.0.0: already at {uri(folder)}",
        "add 1.0.0: training it again, for its calibration and evaluation data",
        f"add 1.0.0: making and measuring its variants on {cpu_class()}",
    ]
    assert " (Optimized=False, " in lines[-1]
    assert require_manifest(uri(folder)) == manifest
    _, assessments = published_variants(uri(folder))
    assert [each.cpu_class for each in assessments] == [cpu_class()]
    assert publish(folder) == [f"add 1.0.0: already at {uri(folder)}"]
    assert (folder / "trained.txt").read_text().split() == ["1.0.0", "1.0.0"]


def test_without_the_packages_a_model_is_published_without_variants(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "nncf", None)  # as if it were not installed
    enable(folder)
    lines = publish(folder)
    assert lines[1].startswith("add 1.0.0: published without faster variants: ")
    assert "pip install 'scalezero[optimize]'" in lines[1]
    assert lines[2].startswith("add 1.0.0: published to ")
    assert require_manifest(uri(folder)).assessment is None
    already, later = publish(folder)
    assert already == f"add 1.0.0: already at {uri(folder)}"
    assert later.startswith(f"add 1.0.0: not measured on {cpu_class()}: ")
    assert "pip install 'scalezero[optimize]'" in later
    assert (folder / "trained.txt").read_text().split() == ["1.0.0"]  # not again, for nothing


@pytest.mark.parametrize("write", [pairs, constant])
def test_a_model_that_fails_on_generated_rows_is_published_without_variants(
    folder: Path, write: Callable[[Path], Path]
) -> None:
    write(folder / "ready.onnx")
    (folder / "train.py").write_text(TRAINER.replace('{"x": rows}, {"x": rows}', "None, None"))
    enable(folder)
    lines = publish(folder)
    failed, published = lines[-2:]
    assert failed.startswith("add 1.0.0: published without faster variants: add: the variants cannot be made: ")
    assert published == f"add 1.0.0: published to {uri(folder)}"
    assert require_manifest(uri(folder)).assessment is None


@pytest.mark.parametrize("data", ["missing.npz", "s3://no-such-bucket-of-tests/rows.npz", "text.npz"])
def test_a_model_is_published_without_variants_if_the_data_cannot_be_read(
    folder: Path, server: S3Server, data: str
) -> None:
    (folder / "text.npz").write_text("no arrays")
    enable(folder, OPTIMIZATION.replace("minSpeedup: 1.5", f"evaluation: {data!r}"))
    lines = publish(folder)
    assert lines[1].startswith("add 1.0.0: published without faster variants: ")
    assert data in lines[1]
    assert lines[2:] == [f"add 1.0.0: published to {uri(folder)}"]


@pytest.mark.parametrize(
    ("data", "fact"),
    [
        ("None, [1]", "evaluation as [1] (list); expected evaluation as NumPy arrays by the name of the input"),
        ("{'x': [1.0]}, None", "calibration with 'x' as [1.0] (list); expected calibration as NumPy arrays"),
    ],
)
def test_data_of_train_is_checked_only_if_variants_are_asked_for(folder: Path, data: str, fact: str) -> None:
    (folder / "train.py").write_text(TRAINER.replace('{"x": rows}, {"x": rows}', data))
    assert len(publish(folder)) == 2
    Path(uri(folder)).unlink()
    Path(uri(folder) + ".manifest.json").unlink()
    enable(folder)
    _, failed, published = publish(folder)
    assert failed.startswith(f"add 1.0.0: published without faster variants: {folder / 'train.py'}: train returned ")
    assert fact in failed
    assert published.startswith("add 1.0.0: published to ")


def test_a_model_without_the_suffix_of_an_onnx_file_is_published_and_not_trained_again(folder: Path) -> None:
    enable(folder)
    (folder / "model.yaml").write_text(VERSION.format(major=1).replace(".onnx", ".ort"))
    place = str(folder / "published" / "add-v1.ort")
    assert str(next(iter(plan_function(folder)))) == f"add 1.0.0: upload  {place}, after its training"
    assert publish(folder) == [
        "add 1.0.0: training",
        f"add 1.0.0: published without faster variants: {NOT_ONNX}",
        f"add 1.0.0: published to {place}",
    ]
    assert publish(folder) == [f"add 1.0.0: already at {place}"]
    assert not any("measure" in each for each in plan_function(folder))
    assert (folder / "trained.txt").read_text().split() == ["1.0.0"]


def test_without_room_for_variants_nothing_is_published(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=0))
    enable(folder)
    with pytest.raises(DiskFull, match="which has 0 MiB free"):
        publish(folder)
    assert not (folder / "published").exists()


def test_a_model_that_cannot_be_published_is_an_error_with_a_resource_too(folder: Path) -> None:
    enable(folder)
    (folder / "ready.onnx").write_bytes(b"foo")
    with pytest.raises(InvalidModel, match="not an ONNX model"):
        publish(folder)
    assert not (folder / "published").exists()


def test_a_published_model_without_any_data_is_not_measured_and_says_how(folder: Path) -> None:
    publish(folder)
    (folder / "train.py").unlink()
    enable(folder)
    (_, line) = publish(folder)
    assert line.startswith(f"add 1.0.0: not measured on {cpu_class()}: there is no evaluation data; state evaluation")


def test_a_failed_measurement_of_a_published_model_is_reported_and_does_not_fail(folder: Path) -> None:
    publish(folder)
    (folder / "train.py").unlink()
    enable(folder, OPTIMIZATION.replace("minSpeedup: 1.5", "evaluation: missing.npz"))
    line = publish(folder)[-1]
    assert line.startswith(f"add 1.0.0: not measured on {cpu_class()}: ")
    assert "missing.npz" in line


def test_a_disabled_resource_asks_for_nothing(folder: Path) -> None:
    enable(folder, OPTIMIZATION.replace("enabled: true", "enabled: false"))
    assert [each.partition(" to ")[0] for each in publish(folder)] == ["add 1.0.0: training", "add 1.0.0: published"]
    assert publish(folder) == [f"add 1.0.0: already at {uri(folder)}"]


@pytest.mark.parametrize(
    ("metrics", "evaluation", "expected"),
    [
        ((), None, True),
        (("auc",), None, False),
        (("auc",), "rows.npz", False),
        ((None,), None, False),
        ((None,), "rows.npz", True),
        ((None, "auc"), "rows.npz", False),
    ],
)
def test_one_measurement_is_enough_unless_evaluation_data_was_added(
    metrics: tuple[str | None, ...], evaluation: str | None, *, expected: bool
) -> None:
    here = [assessment("intel-amx", "original", {}, metric=each) for each in metrics]
    assert needs_measurement(here, Quantization(evaluation=evaluation)) is expected
