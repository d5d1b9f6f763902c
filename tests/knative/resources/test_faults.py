"""Every error in a manifest has its file, line, field, value and the allowed values."""

from collections.abc import Mapping
from pathlib import Path

import pytest

import functions.payment_model
from knative.resources import BadManifest, parse_resources, read_resources

MANIFEST = Path(functions.payment_model.__file__).with_name("model.yaml").read_text()
NAME = "a DNS-1123 label: at most 63 of a-z, 0-9 and -, with a letter or digit at both ends"
DURATION = 'a duration in quotes, such as "100ms", "1s" or "1m30s"'
KINDS = "one of ModelVersion, InferenceConfig, ModelOptimization, Service, APIDefinition, Deployment"
VERSION = 'at most 63 letters, digits, and . + _ -, in quotes, such as "1.0.0"'
STORAGE = "  storage:\n    type: s3\n    path: s3://models/payment-model-v1.onnx\n"
TRAFFIC = MANIFEST[MANIFEST.index("  traffic:") :]


def fault(text: str) -> BadManifest:
    """Read an invalid manifest and return the error."""
    with pytest.raises(BadManifest) as caught:
        parse_resources(text, file="model.yaml")
    return caught.value


@pytest.mark.parametrize(
    ("written", "instead", "place", "field", "got", "expected"),
    [
        ("batchSize: 32", "batchSize: 0", 32, "spec.batchSize", "0", "a whole number of rows from 1 to 4096"),
        ("batchSize: 32", "batchSize: 4097", 32, "spec.batchSize", "4097", "a whole number of rows from 1 to 4096"),
        ("batchSize: 32", 'batchSize: "32"', 32, "spec.batchSize", '"32"', "a whole number of rows from 1 to 4096"),
        ("batchSize: 32", "batchSize: true", 32, "spec.batchSize", "true", "a whole number of rows from 1 to 4096"),
        ('"100ms"', "100", 33, "spec.maxWaitTime", "100", DURATION),
        ('"100ms"', '"-1s"', 33, "spec.maxWaitTime", '"-1s"', DURATION),
        ('"100ms"', '"1 s"', 33, "spec.maxWaitTime", '"1 s"', DURATION),
        ('"100ms"', '"1d"', 33, "spec.maxWaitTime", '"1d"', DURATION),
        ('"100ms"', '"25h"', 33, "spec.maxWaitTime", '"25h"', 'a duration from "0s" to "24h"'),
        ('"1s"', '"0s"', 34, "spec.timeout", '"0s"', 'a duration from "1us" to "24h"'),
        (
            '"1s"',
            '"9999999999999999999999h"',
            34,
            "spec.timeout",
            '"9999999999999999999999h"',
            'a duration from "1us" to "24h"',
        ),
        (
            '"100ms"',
            '"1s"',
            34,
            "spec.timeout",
            '"1s"',
            'longer than maxWaitTime ("1s"), or requests expire while a batch fills',
        ),
        (
            "    target: cpu",
            "    target: cpu\n    maxAccuracyLoss: 2",
            45,
            "spec.quantization.maxAccuracyLoss",
            "2",
            "a number from 0 to 1: how much of the metric, or of the agreement with the original, may be lost",
        ),
        (
            "    target: cpu",
            "    target: cpu\n    minSpeedup: .inf",
            45,
            "spec.quantization.minSpeedup",
            "Infinity",
            "a number from 1 to 1000: how many times as fast as the original a variant must be",
        ),
        (
            "    target: cpu",
            "    target: cpu\n    calibration: rows.csv",
            45,
            "spec.quantization.calibration",
            '"rows.csv"',
            "the .npz file of the data: a path from the folder of the manifest, or s3://bucket/key.npz",
        ),
        ("format: onnx", "format: torch", 10, "spec.format", '"torch"', "onnx, the only supported format"),
        ("  format: onnx\n", "", 7, "spec.format", "nothing", "onnx, the only supported format"),
        ('"1.0.0"', "1.0", 9, "spec.version", "1.0", VERSION),
        ('"1.0.0"', "2024-01-05", 9, "spec.version", '"2024-01-05"', VERSION),
        (
            '"1.0.0"',
            "&a [*a]",
            9,
            "document",
            "an alias of a value that contains the alias",
            "an alias of a complete value",
        ),
        ("type: s3", "type: gcs", 12, "spec.storage.type", '"gcs"', "s3 or file"),
        (
            "type: s3",
            "type: file",
            13,
            "spec.storage.path",
            '"s3://models/payment-model-v1.onnx"',
            "file:///path or a path, as storage.type is file",
        ),
        (
            "s3://models",
            "/models",
            13,
            "spec.storage.path",
            '"/models/payment-model-v1.onnx"',
            "s3://bucket/key, as storage.type is s3",
        ),
        (STORAGE, "  storage: null\n", 11, "spec.storage", "null", "a mapping with type, path"),
        (STORAGE, "", 7, "spec.storage", "nothing", "a mapping with type, path"),
        ("name: payment-model-v1", "name: Payment_Model", 6, "metadata.name", '"Payment_Model"', NAME),
        ("name: payment-model-v1", 'name: "payment-model-v1\\n"', 6, "metadata.name", '"payment-model-v1\\n"', NAME),
        ("name: payment-model-v1", f"name: {'a' * 64}", 6, "metadata.name", f'"{"a" * 64}"', NAME),
        (
            "name: payment-model-v1",
            "name: pay-v1",
            6,
            "metadata.name",
            '"pay-v1"',
            "a name that starts with payment-model- (spec.modelName and a dash), as Knative requires of a revision",
        ),
        ("metadata:\n", "metadata:\n  namespace: A\n", 6, "metadata.namespace", '"A"', NAME),
        (
            "metadata:\n",
            "metadata:\n  labels: {a: 1}\n",
            6,
            "metadata.labels.a",
            "1",
            "a string; quote numbers and booleans",
        ),
        (
            "metadata:\n",
            "metadata:\n  labels: {1: a}\n",
            6,
            "metadata.labels",
            "a key that is not a string",
            "string keys, in quotes",
        ),
        ("metadata:\n", "metadata:\n  2: a\n", 5, "metadata", "a key that is not a string", "string keys, in quotes"),
        ("metadata:\n", "metadata: {}\nx:\n", 5, "metadata.name", "nothing", NAME),
        ("apiVersion: ml.example.com/v1", "apiVersion: v1", 3, "apiVersion", '"v1"', "ml.example.com/v1"),
        ("serving.knative.dev/v1", "v1", 46, "apiVersion", '"v1"', "serving.knative.dev/v1"),
        ("kind: ModelVersion\n", "", 3, "kind", "nothing", KINDS),
        ("kind: ModelVersion\n", "kind: [a]\n", 4, "kind", "a list", KINDS),
        ("kind: ModelVersion\n", "kind: CronJob\n", 4, "kind", '"CronJob"', KINDS),
        (
            "kind: ModelVersion\n",
            "kind: ModelVersoin\n",
            4,
            "kind",
            '"ModelVersoin"',
            f"{KINDS}; did you mean ModelVersion?",
        ),
        ("precision: int8", "precision: int4", 43, "spec.quantization.precision", '"int4"', "int8"),
        ("target: cpu", "target: gpu", 44, "spec.quantization.target", '"gpu"', "cpu"),
        ("enabled: true", 'enabled: "yes"', 42, "spec.quantization.enabled", '"yes"', "true or false"),
        ("percent: 50", "percent: 40", 51, "spec.traffic", "percents that sum to 90", "a sum of 100"),
        ("percent: 50", "percent: 101", 53, "spec.traffic[0].percent", "101", "a whole number from 0 to 100"),
        ("      percent: 50\n", "", 52, "spec.traffic[0].percent", "nothing", "a whole number from 0 to 100"),
        (
            TRAFFIC,
            "  traffic: []\n",
            51,
            "spec.traffic",
            "an empty list",
            "a list of at least one revisionName with its percent",
        ),
        (
            "- revisionName: payment-model-v2",
            "- revisionName: payment-model-v1",
            52,
            "spec.traffic[0].revisionName",
            '"payment-model-v1"',
            "each revision once",
        ),
        ("---", "---\n- a\n---", 15, "document", "a list", "a mapping with apiVersion, kind, metadata, spec"),
    ],
)
def test_the_error_for_a_wrong_value_has_its_place(
    written: str, instead: str, place: int, field: str, got: str, expected: str
) -> None:
    assert written in MANIFEST
    error = fault(MANIFEST.replace(written, instead, 1))
    assert str(error) == f"model.yaml:{place}: {field}: got {got}; expected {expected}"
    assert error.details == {"file": "model.yaml", "line": place, "field": field, "value": got, "allowed": expected}


@pytest.mark.parametrize(
    ("written", "instead", "place", "field", "known"),
    [
        (
            "batchSize",
            "batchsize",
            32,
            "spec.batchsize",
            "one of modelName, batchSize, maxWaitTime, timeout, events, guest; did you mean batchSize?",
        ),
        (
            "precision",
            "precison",
            43,
            "spec.quantization.precison",
            (
                "one of enabled, precision, target, maxAccuracyLoss, minSpeedup, calibration, evaluation; "
                "did you mean precision?"
            ),
        ),
        (
            "- revisionName",
            "- revision",
            52,
            "spec.traffic[0].revision",
            "one of revisionName, percent; did you mean revisionName?",
        ),
        ("  traffic:", "  template: {}\n  traffic:", 51, "spec.template", "traffic"),
        ("spec:", "status: {}\nspec:", 7, "status", "one of apiVersion, kind, metadata, spec"),
        ("modelName:", "zzz: 1\n  modelName:", 8, "spec.zzz", "one of modelName, version, format, storage"),
    ],
)
def test_the_error_for_an_unknown_field_suggests_a_known_field(
    written: str, instead: str, place: int, field: str, known: str
) -> None:
    error = fault(MANIFEST.replace(written, instead, 1))
    assert str(error) == f"model.yaml:{place}: {field}: got an unknown field; expected {known}"


def test_a_duplicate_field_is_refused_at_the_second_line() -> None:
    error = fault(MANIFEST.replace("batchSize: 32", "batchSize: 32\n  batchSize: 64"))
    assert str(error) == "model.yaml:33: spec.batchSize: got a duplicate field; expected each field once"


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        ("spec: [", "model.yaml:1", "did not find the expected|expected the node content"),
        ("a: b: c", "model.yaml:1", "mapping values are not allowed here"),
        ("x: 1\na: !!python/object:os.system x", "model.yaml:2", "could not determine a constructor"),
        ("a: 1\nb: \x07", "model.yaml:2", "the character #x0007"),
        ("a: 2024-13-45", "model.yaml", "month must be in 1..12"),
        ("[" * 3_000, "model.yaml", "nested too deeply"),
        ("? [a]\n: b", "model.yaml:1", "unhashable key"),
    ],
)
def test_the_error_for_invalid_yaml_has_its_line(text: str, place: str, reason: str) -> None:
    with pytest.raises(BadManifest, match=rf"^{place}: document: got invalid YAML \(.*({reason})"):
        parse_resources(text, file="model.yaml")


COPY = {"name: payment-model-v1": "name: payment-model-v3", '"1.0.0"': '"3.0.0"'}
CONFIG = MANIFEST.split("---\n")[2]


def changed(text: str, changes: Mapping[str, str]) -> str:
    """Replace each text by another one."""
    for before, after in changes.items():
        text = text.replace(before, after)
    return text


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            changed(MANIFEST.split("---\n")[0], {'"1.0.0"': '"3.0.0"'}),
            (
                'model.yaml:62: metadata.name: got "payment-model-v1"; '
                "expected a unique name for each ModelVersion; the first is at model.yaml:6"
            ),
        ),
        (
            changed(MANIFEST.split("---\n")[0], {"name: payment-model-v1": "name: payment-model-v3"}),
            (
                'model.yaml:65: spec.version: got "1.0.0"; '
                "expected each version of payment-model once; the first is at model.yaml:9"
            ),
        ),
        (
            changed(CONFIG, {"name: payment-model-config": "name: payment-model-other"}),
            (
                'model.yaml:60: metadata.name: got "payment-model-other"; '
                "expected one InferenceConfig for payment-model; the first is at model.yaml:30"
            ),
        ),
    ],
)
def test_a_duplicate_resource_is_refused_with_the_place_of_the_first(other: str, message: str) -> None:
    assert str(fault(f"{MANIFEST}---\n{other}")) == message


def test_the_wrong_key_is_found_if_another_error_follows() -> None:
    text = CONFIG.replace("spec:", "  labels: {a: b, c: 1}\nspec:").replace("batchSize: 32", "batchSize: 0")
    assert str(fault(text)).startswith("model.yaml:5: metadata.labels.c: got 1; expected a string")


def linked(model: str) -> str:
    """Return the config with an explicit modelName."""
    return CONFIG.replace("spec:", f"spec:\n  modelName: {model}").replace("payment-model-config", "fast")


def test_a_link_to_an_unknown_model_is_an_error() -> None:
    error = fault(MANIFEST.replace(CONFIG, linked("payment-modle")))
    assert str(error) == ('model.yaml:32: spec.modelName: got "payment-modle"; expected payment-model')


def test_a_second_config_of_a_model_is_an_error_with_and_without_model_names() -> None:
    rule = "expected one InferenceConfig for payment-model; the first is at model.yaml:"
    error = fault(f"{MANIFEST}---\n{linked('payment-model')}")
    assert str(error) == f'model.yaml:62: spec.modelName: got "payment-model"; {rule}30'
    error = fault(f"{MANIFEST.replace(CONFIG, linked('payment-model'))}---\n{CONFIG}")
    assert str(error) == f'model.yaml:61: metadata.name: got "payment-model-config"; {rule}32'


def test_a_third_version_or_another_namespace_is_not_a_duplicate() -> None:
    third = changed(MANIFEST.split("---\n")[0], COPY)
    elsewhere = CONFIG.replace("metadata:", "metadata:\n  namespace: other")
    assert len(list(parse_resources(f"{MANIFEST}---\n{third}---\n{elsewhere}", file="model.yaml"))) == 7


def test_the_error_for_a_duplicate_in_another_file_has_both_files(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(CONFIG)
    (tmp_path / "b.yml").write_text(CONFIG)
    with pytest.raises(BadManifest, match=r"b\.yml:4: metadata\.name: .*the first is at .*a\.yaml:4$"):
        read_resources(tmp_path)


def test_an_unreadable_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(
        BadManifest, match=r"none\.yaml: file: got No such file or directory; expected a readable manifest"
    ):
        read_resources(tmp_path / "none.yaml")
    with pytest.raises(BadManifest, match=r"folder: got no manifest; expected at least one \*\.yaml"):
        read_resources(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe4")
    with pytest.raises(BadManifest, match=r"latin\.yaml: file: got invalid UTF-8"):
        read_resources(tmp_path)
