"""Manifests are read and rendered without changes."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given

from knative.resources import (
    ABService,
    APIDefinition,
    BadManifest,
    InferenceConfig,
    ModelOptimization,
    ModelVersion,
    Resources,
    parse_resources,
    read_resources,
    render_resources,
)
from knative.resources.errors import Violation
from knative.resources.inference_config import InferenceConfigSpec
from knative.resources.model_optimization import Quantization, place_of
from runtime.settings import Settings
from tests.knative.resources.strategies import resources

MODEL = """\
apiVersion: ml.example.com/v1
kind: ModelVersion
metadata:
  name: m-v1
spec:
  modelName: m
  version: "1"
  format: onnx
  storage: {type: s3, path: s3://models/m.onnx}
"""
SPEC = Path(__file__).with_name("spec")


@given(resources())
def test_rendered_resources_are_read_back_unchanged(drawn: Resources) -> None:
    assert parse_resources(render_resources(drawn), file="rendered.yaml") == drawn


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("payment-model-v1", ModelVersion),
        ("payment-model-config", InferenceConfig),
        ("payment-model-quantization", ModelOptimization),
        ("payment-model-ab", ABService),
        ("ml-inference-api", APIDefinition),
    ],
)
def test_each_manifest_of_the_user_is_read_and_rendered_as_written(file: str, kind: type) -> None:
    path = SPEC / f"{file}.yaml"
    (resource,) = read_resources(path)
    assert type(resource) is kind
    assert yaml.safe_load(render_resources(read_resources(path))) == yaml.safe_load(path.read_text())


def test_the_users_folder_is_read_as_one() -> None:
    read = read_resources(SPEC)
    (version,), (config,) = read.model_versions, read.inference_configs
    assert version.spec.storage.path == "s3://models/payment-model-v1.onnx"
    assert (config.spec.batch_size, config.spec.max_wait_seconds, config.spec.timeout_seconds) == (32, 0.1, 1.0)
    assert read.config_of("payment-model") is config
    assert read.optimization_of("payment-model") is read.model_optimizations[0]
    assert [(each.revision_name, each.percent) for each in read.ab_services[0].spec.traffic] == [
        ("payment-model-v1", 50),
        ("payment-model-v2", 50),
    ]


def test_the_shipped_function_declares_two_versions_of_one_model() -> None:
    import functions.payment_model

    read = read_resources(Path(functions.payment_model.__file__).parent)
    assert read.models == ("payment-model",)
    assert [each.spec.version for each in read.model_versions] == ["1.0.0", "2.0.0"]
    assert len(list(read)) == 5


def test_a_resource_without_models_belongs_to_none() -> None:
    config = read_resources(SPEC / "payment-model-config.yaml")
    assert config.config_of("payment-model") is None


def test_empty_documents_are_skipped() -> None:
    assert list(parse_resources("---\n---\n# nothing\n", file="empty.yaml")) == []


def test_an_alias_is_read_as_its_value() -> None:
    text = (
        (SPEC / "payment-model-v1.yaml").read_text().replace("modelName: payment-model", "modelName: &m payment-model")
    )
    text = text.replace("spec:", "  labels: {of: *m}\nspec:")
    with pytest.raises(BadManifest, match="undefined alias 'm'"):
        parse_resources(text, file="x.yaml")
    text = text.replace("&m ", "").replace("metadata:", "metadata:\n  annotations: {a: &m text}")
    assert parse_resources(text, file="x.yaml").model_versions[0].metadata.labels == {"of": "text"}


def test_a_relative_path_starts_at_the_manifests_folder() -> None:
    from knative.resources.model_version import Storage

    assert Storage(type="file", path="a/b.onnx").uri(Path("here")) == "here/a/b.onnx"
    assert Storage(type="file", path="/a/b.onnx").uri(Path("here")) == "/a/b.onnx"
    assert Storage(type="file", path="file:///b.onnx").uri(Path("here")) == "file:///b.onnx"
    assert Storage(type="s3", path="s3://models/b.onnx").uri(Path("here")) == "s3://models/b.onnx"


def test_every_field_of_a_spec_has_a_default() -> None:
    def text(kind: str, spec: str) -> str:
        return f"{MODEL}---\napiVersion: ml.example.com/v1\nkind: {kind}\nmetadata:\n  name: m-x\n{spec}"

    for spec in ("", "spec: {}\n"):
        (config,) = parse_resources(text("InferenceConfig", spec), file="m.yaml").inference_configs
        assert (config.spec.batch_size, config.spec.max_wait_seconds, config.spec.timeout_seconds) == (32, 0.1, 30)
        (optimization,) = parse_resources(text("ModelOptimization", spec), file="m.yaml").model_optimizations
        assert not optimization.spec.quantization.enabled
    (optimization,) = parse_resources(
        text("ModelOptimization", "spec:\n  quantization: {}\n"), file="m.yaml"
    ).model_optimizations
    quantization = optimization.spec.quantization
    assert quantization == Quantization(enabled=True, precision="int8", target="cpu")
    assert (quantization.max_accuracy_loss, quantization.min_speedup) == (0.01, 1.1)
    assert (quantization.calibration, quantization.evaluation) == (None, None)


def test_the_data_of_an_optimization_is_beside_the_manifest_or_in_s3() -> None:
    assert place_of("data/rows.npz", Path("here")) == "here/data/rows.npz"
    assert place_of("/data/rows.npz", Path("here")) == "/data/rows.npz"
    assert place_of("s3://models/rows.npz", Path("here")) == "s3://models/rows.npz"


def test_a_config_has_the_defaults_of_the_runtime() -> None:
    spec, settings = InferenceConfigSpec(), Settings()
    assert spec.batch_size == settings.batch_size
    assert (spec.max_wait_seconds, spec.timeout_seconds) == (settings.max_wait, settings.timeout)


@pytest.mark.parametrize("kind", ["InferenceConfig", "ModelOptimization"])
def test_the_error_for_a_resource_without_a_model_lists_the_allowed_names(kind: str) -> None:
    text = f"{MODEL}---\napiVersion: ml.example.com/v1\nkind: {kind}\nmetadata:\n  name: tipo-config\n"
    with pytest.raises(BadManifest) as caught:
        parse_resources(text, file="m.yaml")
    assert caught.value.violation is Violation.UNKNOWN_MODEL
    for fact in (
        "m.yaml:14: metadata.name",
        '"tipo-config"',
        "starts with a model's name and a dash",
        "spec.modelName",
    ):
        assert fact in str(caught.value)


@pytest.mark.parametrize("text", ["", "---\n", "# only a comment\n"])
def test_a_manifest_without_a_resource_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "model.yaml").write_text(text)
    with pytest.raises(BadManifest, match=r"model\.yaml.*expected"):
        read_resources(tmp_path)
