"""func.yaml and the resources cannot disagree silently: each pair of values is told at its place in func.yaml."""

from pathlib import Path

import pytest

from knative.checks.finding import Severity
from tests.knative.checks.cases import FUNCTION, Case, Edit, check

CONFIG_GONE = (
    "---\napiVersion: ml.example.com/v1\nkind: InferenceConfig\nmetadata:\n  name: payment-model-config\n"
    'spec:\n  batchSize: 32\n  maxWaitTime: "100ms"\n  timeout: "1s"\n'
)


def line_of(text: str) -> int:
    """Find the line of func.yaml that holds the text."""
    return FUNCTION[: FUNCTION.index(text)].count("\n") + 1


@pytest.mark.parametrize(
    ("function", "place", "fix"),
    [
        (("payment-model-v1.onnx", "old.onnx"), "payment-model-v1.onnx", "write s3://models/payment-model-v1.onnx"),
        (("value: 1.0.0", "value: 3.0.0"), "value: 1.0.0", "write 1.0.0 or 2.0.0, as declared"),
        (("value: 1.0.0", "value: 2.0.0"), "payment-model-v1.onnx", "write s3://models/payment-model-v2.onnx"),
        (("value: payment-model", "value: other"), "value: payment-model", "write payment-model, the name"),
        (('value: "32"', 'value: "33"'), 'value: "32"', "write 32, as payment-model-config has it"),
        (("value: 100ms", "value: 101ms"), "value: 100ms", "write 100ms, as payment-model-config has it"),
        (("value: 1s", "value: 1001ms"), "value: 1s", "write 1s, as payment-model-config has it"),
        (("value: /var/cache/scalezero", "value: /cache"), "value: /var/cache", "write /var/cache/scalezero"),
        (("runtime: python", "runtime: go"), "runtime: python", "write python"),
    ],
)
def test_each_pair_of_values_must_agree(function: Edit, place: str, fix: str, tmp_path: Path) -> None:
    (found,) = (each for each in check(Case(function=(function,)), tmp_path) if each.code == "func-yaml-disagrees")
    assert found.severity is Severity.ERROR
    assert found.where == f"{tmp_path}/func.yaml:{line_of(place)}"
    assert found.fix.startswith(fix)


@pytest.mark.parametrize(
    "function",
    [
        ("value: 1s", "value: 1000ms"),
        ("value: 100ms", "value: 0.1s"),
        ("    - name: SCALEZERO_MODEL_VERSION\n      value: 1.0.0\n", ""),
        ("runtime: python\n", ""),
        ("value: /var/cache/scalezero", "value: /var/cache/scalezero/"),
    ],
)
def test_what_means_the_same_or_is_left_open_agrees(function: Edit, tmp_path: Path) -> None:
    assert check(Case(function=(function,)), tmp_path) == []


def test_without_a_config_the_batching_is_that_of_func_yaml(tmp_path: Path) -> None:
    edits = (('value: "32"', 'value: "8"'), ("target: 64", "target: 16"))
    assert check(Case(models=((CONFIG_GONE, ""),), function=edits), tmp_path) == []


def test_a_wait_of_func_yaml_alone_must_be_below_its_timeout(tmp_path: Path) -> None:
    (found,) = check(Case(models=((CONFIG_GONE, ""),), function=(("value: 100ms", "value: 1s"),)), tmp_path)
    assert found.code == "wait-not-below-timeout"
    assert found.where == f"{tmp_path}/func.yaml:{line_of('value: 1s')}"


@pytest.mark.parametrize(
    ("function", "what"),
    [
        (
            ("liveness: /healthz/live", "liveness: /l"),
            "deploy.healthEndpoints.liveness: func.yaml has /l, and the image",
        ),
        (
            ("readiness: /healthz/ready", "readiness: /r"),
            "deploy.healthEndpoints.readiness: func.yaml has /r, and the image",
        ),
        (("invoke: http", "invoke: http\ndomain: a.example"), "domain: scalezero deploy cannot apply it"),
        (("deploy:", "deploy:\n  subscriptions: [{source: b}]"), "deploy.subscriptions: scalezero deploy cannot"),
        (("  volumes:", "  volumes:\n    - {secret: s, path: /s}"), "run.volumes.0: scalezero deploy cannot apply it"),
        (
            ("name: FUNCTION_TARGET\n      value: handle", f"name: SCALEZERO_MODEL_SHA256\n      value: {64 * 'a'}"),
            "run.envs",
        ),
    ],
)
def test_what_only_func_can_apply_is_an_error(function: Edit, what: str, tmp_path: Path) -> None:
    (found,) = check(Case(function=(function,)), tmp_path)
    assert (found.code, found.severity) == ("func-yaml-unused", Severity.ERROR)
    assert found.what.startswith(what)
