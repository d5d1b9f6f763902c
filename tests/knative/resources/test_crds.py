"""The checked-in definitions are generated from the models, and refuse the same resources as reading."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cel
import jsonschema
import pytest
import yaml
from hypothesis import given

import functions.payment_model
import knative.resources.crds
from knative.resources import BadManifest, Resources, parse_resources, render_resources
from knative.resources.api_definition import PathItem
from knative.resources.crds.definitions import DEFINITIONS, Definition, manifest, manifests
from tests.knative.resources.strategies import resources

FOLDER = Path(knative.resources.crds.__file__).parent
SPEC = Path(__file__).with_name("spec")
SHIPPED = Path(functions.payment_model.__file__).with_name("model.yaml")
RESERVED = {"function", "in"}
SCHEMAS: dict[str, Any] = {
    each.kind.__name__: manifest(each)["spec"]["versions"][0]["schema"]["openAPIV3Schema"] for each in DEFINITIONS
}


def admit(document: dict[str, Any]) -> list[str]:
    """List the violations of the document's CustomResourceDefinition: first of the schema, then of the rules."""
    schema = SCHEMAS[document["kind"]]
    faults = [each.json_path for each in jsonschema.Draft202012Validator(schema).iter_errors(document)]
    return faults or list(broken(schema, document))


def broken(schema: dict[str, Any], value: object) -> Iterator[str]:
    """Evaluate the CEL rules for the value and all nested values, as the API server does for a valid schema."""
    for each in schema.get("x-kubernetes-validations", ()):
        if cel.evaluate(each["rule"], {"self": escaped(value)}) is not True:
            yield each["message"]
    if isinstance(value, list):
        for item in value:
            yield from broken(schema.get("items", {}), item)
    elif isinstance(value, dict):
        rest = schema.get("additionalProperties", {})
        for key, below in value.items():
            yield from broken(schema.get("properties", {}).get(key, rest), below)


def escaped(value: object) -> object:
    """Escape the name of a field as Kubernetes does in CEL, where `in` and `function` are reserved words."""
    if isinstance(value, dict):
        return {f"__{key}__" if key in RESERVED else key: escaped(below) for key, below in value.items()}
    return [escaped(each) for each in value] if isinstance(value, list) else value


def own(text: str) -> list[dict[str, Any]]:
    """Load the documents of the kinds that have a CustomResourceDefinition."""
    return [each for each in yaml.safe_load_all(text) if each["kind"] in SCHEMAS]


def test_the_checked_in_definitions_are_up_to_date() -> None:
    assert {path.name: path.read_text("utf-8") for path in FOLDER.glob("*.yaml")} == manifests()


def test_each_definition_names_its_kind_in_the_users_group() -> None:
    names = {each["metadata"]["name"]: each["spec"]["names"]["kind"] for each in map(manifest, DEFINITIONS)}
    assert names == {
        "modelversions.ml.example.com": "ModelVersion",
        "inferenceconfigs.ml.example.com": "InferenceConfig",
        "modeloptimizations.ml.example.com": "ModelOptimization",
        "apidefinitions.api.example.com": "APIDefinition",
    }
    assert len({each.short for each in DEFINITIONS}) == len(DEFINITIONS)


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda each: each.plural)
def test_each_column_shows_an_existing_field(definition: Definition) -> None:
    schema = SCHEMAS[definition.kind.__name__]
    for column in manifest(definition)["spec"]["versions"][0]["additionalPrinterColumns"]:
        here = schema
        path = column["jsonPath"].removeprefix(".").replace(f'[?(@.type=="{definition.condition}")]', "")
        for step in path.split(".") if not path.startswith("metadata") else ():
            here = here.get("items", here)["properties"][step]
        assert path.startswith("metadata") or here["type"] == column["type"]


@pytest.mark.parametrize("path", [*sorted(SPEC.glob("*.yaml")), SHIPPED], ids=lambda path: path.name)
def test_each_manifest_of_the_user_is_admitted(path: Path) -> None:
    assert [admit(each) for each in own(path.read_text())] == [[] for _ in own(path.read_text())]


def test_the_users_manifests_contain_every_kind() -> None:
    assert {each["kind"] for path in SPEC.glob("*.yaml") for each in own(path.read_text())} == set(SCHEMAS)


@given(resources())
def test_a_cluster_admits_what_reading_accepts(drawn: Resources) -> None:
    assert [admit(each) for each in own(render_resources(drawn))] == [[] for each in drawn if each.kind in SCHEMAS]


BOTH = {"broker": "default", "function": "dead"}
QUANTIZATION = ("spec", "quantization")
POST = ("spec", "paths", "/api/v1/models/{model_name}/predict", "post")


@pytest.mark.parametrize(
    ("file", "path", "value", "violation"),
    [
        ("payment-model-v1", ("metadata", "name"), "Payment_Model-v1", "$.metadata.name"),
        ("payment-model-v1", ("metadata", "name"), "pay-v1", "metadata.name must start with spec.modelName and a dash"),
        ("payment-model-v1", ("metadata", "name"), "payment-modelv1", "metadata.name must start with spec.modelName"),
        ("payment-model-v1", ("spec", "version"), 1.0, "$.spec.version"),
        ("payment-model-v1", ("spec", "version"), "1 0", "$.spec.version"),
        ("payment-model-v1", ("spec", "format"), "torch", "$.spec.format"),
        ("payment-model-v1", ("spec", "storage"), None, "$.spec.storage"),
        ("payment-model-v1", ("spec", "storage", "type"), "gcs", "$.spec.storage.type"),
        ("payment-model-v1", ("spec", "storage", "type"), "file", "path must be file:///path or a path"),
        ("payment-model-v1", ("spec", "storage", "path"), "", "$.spec.storage.path"),
        ("payment-model-v1", ("spec", "storage", "path"), "/models/a.onnx", "path must be s3://bucket/key"),
        ("payment-model-v1", ("spec", "storage", "path"), "s3://models", "path must be s3://bucket/key"),
        ("payment-model-v1", ("spec", "storage", "path"), "s3://models//a", "path must be s3://bucket/key"),
        ("payment-model-v1", ("spec", "storage", "path"), "s3://models/a b", "path must be s3://bucket/key"),
        ("payment-model-config", ("spec", "batchSize"), 0, "$.spec.batchSize"),
        ("payment-model-config", ("spec", "batchSize"), 4097, "$.spec.batchSize"),
        ("payment-model-config", ("spec", "batchSize"), "32", "$.spec.batchSize"),
        ("payment-model-config", ("spec", "modelName"), "A", "$.spec.modelName"),
        ("payment-model-config", ("spec", "maxWaitTime"), "1d", "$.spec.maxWaitTime"),
        ("payment-model-config", ("spec", "maxWaitTime"), 100, "$.spec.maxWaitTime"),
        ("payment-model-config", ("spec", "maxWaitTime"), "25h", "maxWaitTime must be at most 24h"),
        ("payment-model-config", ("spec", "maxWaitTime"), "1s", "timeout must be longer than maxWaitTime"),
        ("payment-model-config", ("spec", "timeout"), "0s", "timeout must be from 1us to 24h"),
        ("payment-model-config", ("spec", "timeout"), "25h", "timeout must be from 1us to 24h"),
        ("payment-model-config", ("spec", "events"), {"window": "25h"}, "window must be at most 24h"),
        ("payment-model-config", ("spec", "events"), {"brokerClass": "Kafka"}, "brokerClass needs createBroker"),
        ("payment-model-config", ("spec", "events"), {"triggers": [{}, {}]}, "each trigger must have a different name"),
        ("payment-model-config", ("spec", "events"), {"delivery": {"deadLetterSink": {}}}, "a sink must have exactly"),
        ("payment-model-config", ("spec", "events"), {"predictions": {"sink": BOTH}}, "a sink must have exactly one"),
        ("payment-model-config", ("spec", "events"), {"sequence": {"steps": ["a"], "reply": BOTH}}, "a sink must have"),
        ("payment-model-config", ("spec", "events"), {"sequence": {"steps": []}}, "$.spec.events.sequence.steps"),
        (
            "payment-model-config",
            ("spec", "events"),
            {"triggers": [{"type": "a", "filter": {"attributes": {"type": "b"}}}]},
            "a trigger must have type, or filter.attributes.type",
        ),
        (
            "payment-model-config",
            ("spec", "events"),
            {"triggers": [{"filter": {"attributes": {"type": "b"}}, "filters": [{"cesql": "TRUE"}]}]},
            "a trigger must have filter or filters",
        ),
        (
            "payment-model-config",
            ("spec", "events"),
            {"triggers": [{"filters": [{"cesql": "TRUE", "not": {"cesql": "TRUE"}}]}]},
            "a filter must have exactly one of exact",
        ),
        ("payment-model-quantization", ("spec", "quantization", "precision"), "int4", "$.spec.quantization.precision"),
        ("payment-model-quantization", ("spec", "quantization", "enabled"), "yes", "$.spec.quantization.enabled"),
        ("payment-model-quantization", (*QUANTIZATION, "maxAccuracyLoss"), 1.01, "$.spec.quantization.maxAccuracyLoss"),
        ("payment-model-quantization", (*QUANTIZATION, "maxAccuracyLoss"), "1%", "$.spec.quantization.maxAccuracyLoss"),
        ("payment-model-quantization", (*QUANTIZATION, "minSpeedup"), 0.9, "$.spec.quantization.minSpeedup"),
        ("payment-model-quantization", (*QUANTIZATION, "calibration"), "rows.csv", "$.spec.quantization.calibration"),
        ("payment-model-quantization", (*QUANTIZATION, "evaluation"), "s3://m.npz", "$.spec.quantization.evaluation"),
        ("ml-inference-api", ("spec", "paths"), {}, "$.spec.paths"),
        ("ml-inference-api", ("spec", "paths", "predict"), {}, "each path must start with /"),
        ("ml-inference-api", (*POST, "parameters", 0, "in"), "body", "parameters[0].in"),
        ("ml-inference-api", (*POST, "parameters", 0, "required"), False, "required must be true"),
        ("ml-inference-api", (*POST, "requestBody", "content"), {}, "requestBody.content"),
    ],
)
def test_a_cluster_refuses_what_reading_refuses(
    file: str, path: tuple[str | int, ...], value: object, violation: str
) -> None:
    document = yaml.safe_load((SPEC / f"{file}.yaml").read_text())
    *above, last = path
    place = document
    for step in above:
        place = place[step]
    place[last] = value
    with pytest.raises(BadManifest):
        parse_resources(yaml.safe_dump(document), file=file)
    assert any(violation in each for each in admit(document))


@pytest.mark.parametrize("method", PathItem.__struct_fields__)
def test_the_rule_for_parameters_applies_to_every_method(method: str) -> None:
    document = yaml.safe_load((SPEC / "ml-inference-api.yaml").read_text())
    item = document["spec"]["paths"][POST[2]]
    item[method] = copy.deepcopy(item["post"])
    del item[method]["parameters"][0]["required"]
    assert admit(document) == ["required must be true, as the parameter is in the path"]


@pytest.mark.parametrize("missing", ["modelName", "version", "format", "storage"])
def test_a_cluster_requires_the_required_fields_of_a_version(missing: str) -> None:
    document = yaml.safe_load((SPEC / "payment-model-v1.yaml").read_text())
    del document["spec"][missing]
    assert admit(document) == ["$.spec"]


def test_a_valid_condition_is_admitted_and_an_invalid_one_is_refused() -> None:
    document = yaml.safe_load((SPEC / "payment-model-v1.yaml").read_text())
    condition = {
        "type": "Ready",
        "status": "False",
        "reason": "ArtifactMissing",
        "message": "s3://models/payment-model-v1.onnx: no such object",
        "lastTransitionTime": "2026-11-23T12:00:00Z",
    }
    document["status"] = {"observedGeneration": 1, "conditions": [condition]}
    assert admit(document) == []
    condition["status"] = "false"
    assert admit(document) == ["$.status.conditions[0].status"]
