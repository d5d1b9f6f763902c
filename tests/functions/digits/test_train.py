"""The result of training: a valid ONNX file with the reported accuracy on digits that the training did not use."""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from click.testing import CliRunner
from sklearn.datasets import load_digits

from functions.digits.train import TrainedModel, fit, main, split, train
from runtime.model.session import Session
from runtime.optimizing import accuracy, data_from


def session(trained: TrainedModel) -> onnxruntime.InferenceSession:
    """Open the model in ONNX Runtime."""
    return onnxruntime.InferenceSession(trained.path, providers=["CPUExecutionProvider"])


def test_the_signature_has_the_pixels_a_label_and_ten_probabilities(trained: TrainedModel) -> None:
    opened = session(trained)
    facts = [(each.name, each.type, each.shape) for each in (*opened.get_inputs(), *opened.get_outputs())]
    assert facts == [
        ("pixels", "tensor(float)", ["batch", 64]),
        ("label", "tensor(int64)", ["batch"]),
        ("probabilities", "tensor(float)", ["batch", 10]),
    ]


def test_the_file_is_valid_and_has_its_name_and_version(trained: TrainedModel) -> None:
    model = onnx.load(trained.path)
    onnx.checker.check_model(model, full_check=True)
    assert {each.key: each.value for each in model.metadata_props} == {"name": "digits", "version": "1.0.0"}
    domains = [each.domain for each in model.opset_import]
    assert len(domains) == len(set(domains))


def test_no_image_is_in_both_parts() -> None:
    known, held_out = split()
    both = np.concatenate([known.pixels, held_out.pixels])
    assert sorted(map(tuple, both)) == sorted(map(tuple, load_digits().data))
    assert not {*map(tuple, known.pixels)} & {*map(tuple, held_out.pixels)}
    assert (len(known.digits), len(held_out.digits)) == (1_347, 450)
    assert set(np.bincount(held_out.digits)) <= set(range(43, 47))  # each digit about equally often


def test_the_reported_accuracy_is_that_of_the_exported_file_on_held_out_digits(trained: TrainedModel) -> None:
    _, held_out = split()
    labels, _ = session(trained).run(None, {"pixels": held_out.pixels})
    assert trained.metrics == {"accuracy": pytest.approx(np.mean(labels == held_out.digits), abs=1e-4)}
    assert trained.metrics["accuracy"] >= 0.95


def test_onnx_and_sklearn_have_the_same_outputs_for_any_batch(trained: TrainedModel) -> None:
    known, held_out = split()
    pipeline, opened = fit(known), session(trained)
    for rows in (held_out.pixels[:1], held_out.pixels):
        labels, probabilities = opened.run(None, {"pixels": rows})
        np.testing.assert_array_equal(labels, pipeline.predict(rows))
        np.testing.assert_allclose(probabilities, pipeline.predict_proba(rows), atol=1e-5)


def test_the_same_version_produces_the_same_bytes(trained: TrainedModel, tmp_path: Path) -> None:
    again = train("1.0.0", tmp_path)
    assert again.path.read_bytes() == trained.path.read_bytes()
    assert again.metrics == trained.metrics


def test_an_unknown_version_is_an_error_with_the_known_one(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"version: got '9'; expected 1\.0\.0"):
        train("9", tmp_path)


def test_the_command_prints_the_accuracy_and_the_file(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert done.output.startswith("digits 1.0.0: accuracy 0.9")
    assert [each.name for each in tmp_path.iterdir()] == ["digits-v1.onnx"]


def test_the_evaluation_data_have_the_labels_of_the_reported_accuracy(trained: TrainedModel) -> None:
    opened = Session(trained.path, uri="digits", name="digits", threads=1)
    data = data_from(trained.evaluation, opened.signature)
    labels, _ = opened.run([data.inputs["pixels"]])
    metric = accuracy.metric_of(data.expected["label"], labels)
    assert metric == "accuracy"
    assert accuracy.score(metric, data.expected["label"], labels) == pytest.approx(
        trained.metrics["accuracy"], abs=1e-4
    )


def test_the_calibration_data_are_images_of_the_training(trained: TrainedModel) -> None:
    data = data_from(trained.calibration, Session(trained.path, uri="digits", name="digits", threads=1).signature)
    held_out = {row.tobytes() for row in trained.evaluation["pixels"]}
    assert data.rows == 300
    assert not data.expected
    assert not held_out & {row.tobytes() for row in data.inputs["pixels"]}
