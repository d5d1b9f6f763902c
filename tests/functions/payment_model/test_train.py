"""The result of training: a valid ONNX file with the reported metrics."""

from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from click.testing import CliRunner

from functions.payment_model.export import export
from functions.payment_model.train import RECIPES, TrainedModel, main, sample, train
from runtime.model.session import Session
from runtime.optimizing import accuracy, data_from
from tests.functions.payment_model.conftest import PAYMENTS

VERSIONS = ["1.0.0", "2.0.0"]


def session(path: Path) -> onnxruntime.InferenceSession:
    """Open the model in ONNX Runtime."""
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("version", VERSIONS)
def test_the_signature_has_the_features_and_one_score(trained: Mapping[str, TrainedModel], version: str) -> None:
    opened = session(trained[version].path)
    (features,), (score,) = opened.get_inputs(), opened.get_outputs()
    assert (features.name, features.type, features.shape) == ("features", "tensor(float)", ["batch", 30])
    assert (score.name, score.type, score.shape) == ("fraud_score", "tensor(float)", ["batch", 1])


@pytest.mark.parametrize("version", VERSIONS)
def test_onnx_and_sklearn_have_the_same_outputs_for_any_batch(tmp_path: Path, version: str) -> None:
    drawn = sample(1_000, seed=3)
    pipeline = RECIPES[version]().fit(drawn.features, drawn.fraud)
    export(pipeline, tmp_path / "model.onnx", name="payment-model", version=version)
    opened = session(tmp_path / "model.onnx")
    for rows in (drawn.features[:1], drawn.features[:37]):
        (scores,) = opened.run(None, {"features": rows})
        assert scores.shape == (len(rows), 1)
        np.testing.assert_allclose(scores[:, 0], pipeline.predict_proba(rows)[:, 1], atol=1e-5)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_file_is_valid_and_has_its_name_and_version(trained: Mapping[str, TrainedModel], version: str) -> None:
    model = onnx.load(trained[version].path)
    onnx.checker.check_model(model, full_check=True)
    assert {each.key: each.value for each in model.metadata_props} == {"name": "payment-model", "version": version}
    domains = [each.domain for each in model.opset_import]
    assert len(domains) == len(set(domains))


@pytest.mark.parametrize("version", VERSIONS)
def test_a_model_is_much_better_than_chance(trained: Mapping[str, TrainedModel], version: str) -> None:
    assert trained[version].metrics["auc"] > 0.8
    assert trained[version].metrics["average_precision"] > 0.25  # chance is the rate of fraud, 0.02


@pytest.mark.parametrize("version", VERSIONS)
def test_the_metrics_equal_those_of_the_exported_file(trained: Mapping[str, TrainedModel], version: str) -> None:
    from sklearn.metrics import roc_auc_score

    _, held_out = sample(PAYMENTS, seed=2025).split()
    (scores,) = session(trained[version].path).run(None, {"features": held_out.features})
    assert trained[version].metrics["auc"] == pytest.approx(roc_auc_score(held_out.fraud, scores[:, 0]), abs=1e-3)


@pytest.mark.parametrize("version", VERSIONS)
def test_the_same_arguments_produce_the_same_bytes(
    trained: Mapping[str, TrainedModel], tmp_path: Path, version: str
) -> None:
    again = train(version, tmp_path, payments=PAYMENTS)
    digests = {sha256(each.path.read_bytes()).hexdigest() for each in (again, trained[version])}
    assert len(digests) == 1


def test_the_end_of_the_stream_is_held_out() -> None:
    drawn = sample(1_000, seed=4)
    past, future = drawn.split()
    assert len(past.fraud) == 750
    assert np.array_equal(np.concatenate([past.features, future.features]), drawn.features)


def test_an_unknown_version_is_an_error_with_the_known_versions(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"version: got '9'.*1\.0\.0, 2\.0\.0"):
        train("9", tmp_path)


def test_the_command_prints_a_line_for_each_version(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["--out", str(tmp_path), "--payments", "2000"])
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert [line.partition(":")[0] for line in lines] == [f"payment-model {version}" for version in VERSIONS]
    assert all("auc 0." in line and "average_precision 0." in line for line in lines)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["payment-model-v1.onnx", "payment-model-v2.onnx"]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_evaluation_data_have_the_labels_of_the_reported_auc(
    trained: Mapping[str, TrainedModel], version: str
) -> None:
    model = trained[version]
    opened = Session(model.path, uri="payment-model", name="payment-model", threads=1)
    data = data_from(model.evaluation, opened.signature)
    (scores,) = opened.run([data.inputs["features"]])
    labels = data.expected["fraud_score"]
    metric = accuracy.metric_of(labels, scores)
    assert metric == "auc"
    assert accuracy.score(metric, labels, scores) == pytest.approx(model.metrics["auc"], abs=1e-4)
    assert data_from(model.calibration, opened.signature).rows == 300
