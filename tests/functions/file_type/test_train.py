"""The published model is that of the package, and its accuracy is that on files of known types."""

from hashlib import sha256
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from click.testing import CliRunner
from magika import Magika

from functions.file_type import package
from functions.file_type.features import LABELS, WINDOW
from functions.file_type.train import SHA256, SUFFIXES, TrainedModel, copy, files, main, train


def test_the_model_is_the_file_of_the_package(trained: TrainedModel) -> None:
    assert trained.path.read_bytes() == package.model().read_bytes()
    assert sha256(trained.path.read_bytes()).hexdigest() == SHA256


def test_the_signature_has_a_window_and_a_score_for_each_label(trained: TrainedModel) -> None:
    opened = onnxruntime.InferenceSession(trained.path, providers=["CPUExecutionProvider"])
    (window,), (scores,) = opened.get_inputs(), opened.get_outputs()
    assert (window.name, window.type, window.shape[1:]) == ("bytes", "tensor(int32)", [WINDOW])
    assert (scores.name, scores.type, scores.shape[1:]) == ("target_label", "tensor(float)", [len(LABELS)])


def test_the_data_are_windows_with_the_index_of_their_label(trained: TrainedModel) -> None:
    windows, types = trained.evaluation["bytes"], trained.evaluation["target_label"]
    assert len(windows) == len(types) > 50
    assert {LABELS[index] for index in types} >= {"python", "elf", "json"}
    calibration = trained.calibration["bytes"]
    assert calibration.dtype == windows.dtype == np.int32
    assert abs(len(calibration) - len(windows)) <= 1
    assert calibration.shape[1] == windows.shape[1] == WINDOW


def test_the_reported_accuracy_is_that_of_the_package(trained: TrainedModel, original: Magika) -> None:
    windows, types = trained.evaluation["bytes"], trained.evaluation["target_label"]
    best = [original._onnx_session.run(["target_label"], {"bytes": row[None]})[0].argmax() for row in windows]
    assert trained.metrics == {"accuracy": pytest.approx(np.mean(best == types), abs=1e-4)}
    assert trained.metrics["accuracy"] >= 0.85


def test_the_files_are_always_the_same_and_of_all_suffixes_alike() -> None:
    chosen = files()
    assert chosen == files()
    counts = {suffix: sum(path.suffix == suffix for path in chosen) for suffix in SUFFIXES}
    assert counts[".py"] == counts[".so"] == 16
    assert max(counts.values()) == 16


def test_another_model_is_an_error_with_both_digests_and_the_release(tmp_path: Path) -> None:
    other = tmp_path / "model.onnx"
    other.write_bytes(b"other")
    with pytest.raises(ValueError, match=rf"SHA-256 d9298a10.*expected {SHA256}.*pip install magika==1\.0\.3"):
        copy(other, tmp_path / "copy.onnx")
    assert not (tmp_path / "copy.onnx").exists()


def test_an_unknown_version_is_an_error_with_the_known_one(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"version: got '9'; expected 1\.0\.0"):
        train("9", tmp_path)


def test_the_command_prints_the_accuracy_and_the_file(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert done.output.startswith("file-type 1.0.0: accuracy 0.")
    assert [each.name for each in tmp_path.iterdir()] == ["file-type-v1.onnx"]
