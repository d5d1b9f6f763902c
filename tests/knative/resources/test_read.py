"""Manifests are read as their owner wrote them, and come back as they were."""

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
from tests.knative.resources.strategies import resources

SPEC = Path(__file__).with_name("spec")


@given(resources())
def test_reading_what_was_rendered_gives_the_same(some: Resources) -> None:
    assert parse_resources(render_resources(some), file="rendered.yaml") == some


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


def test_a_resource_that_names_no_model_here_belongs_to_none() -> None:
    config = read_resources(SPEC / "payment-model-config.yaml")
    assert config.config_of("payment-model") is None


def test_empty_documents_are_passed_over() -> None:
    assert list(parse_resources("---\n---\n# nothing\n", file="empty.yaml")) == []


def test_an_alias_is_read_as_what_it_stands_for() -> None:
    text = (
        (SPEC / "payment-model-v1.yaml").read_text().replace("modelName: payment-model", "modelName: &m payment-model")
    )
    text = text.replace("spec:", "  labels: {of: *m}\nspec:")
    with pytest.raises(BadManifest, match="undefined alias 'm'"):
        parse_resources(text, file="x.yaml")
    text = text.replace("&m ", "").replace("metadata:", "metadata:\n  annotations: {a: &m text}")
    assert parse_resources(text, file="x.yaml").model_versions[0].metadata.labels == {"of": "text"}


def test_a_bare_path_of_a_file_starts_at_the_manifests_folder() -> None:
    from knative.resources.model_version import Storage

    assert Storage(type="file", path="a/b.onnx").uri(Path("here")) == "here/a/b.onnx"
    assert Storage(type="file", path="/a/b.onnx").uri(Path("here")) == "/a/b.onnx"
    assert Storage(type="file", path="file:///b.onnx").uri(Path("here")) == "file:///b.onnx"
    assert Storage(type="s3", path="s3://models/b.onnx").uri(Path("here")) == "s3://models/b.onnx"
