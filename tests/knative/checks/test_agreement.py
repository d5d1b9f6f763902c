"""Values in func.yaml that differ from the resources are findings, with their place in func.yaml."""

from pathlib import Path

import pytest

from knative.checks.finding import Severity
from tests.knative.checks.cases import FUNCTION, Case, Edit, check, events_edit

CONFIG_GONE = (
    "---\napiVersion: ml.example.com/v1\nkind: InferenceConfig\nmetadata:\n  name: payment-model-config\n"
    'spec:\n  batchSize: 32\n  maxWaitTime: "100ms"\n  timeout: "1s"\n'
)


def line_of(text: str) -> int:
    """Return the line of func.yaml that contains the text."""
    return FUNCTION[: FUNCTION.index(text)].count("\n") + 1


@pytest.mark.parametrize(
    ("function", "place", "fix"),
    [
        (("payment-model-v1.onnx", "old.onnx"), "payment-model-v1.onnx", "write s3://models/payment-model-v1.onnx"),
        (("value: 1.0.0", "value: 3.0.0"), "value: 1.0.0", "write 1.0.0 or 2.0.0, as in the ModelVersions"),
        (("value: 1.0.0", "value: 2.0.0"), "payment-model-v1.onnx", "write s3://models/payment-model-v2.onnx"),
        (("value: payment-model", "value: other"), "value: payment-model", "write payment-model, the name"),
        (('value: "32"', 'value: "33"'), 'value: "32"', "write 32, as in payment-model-config"),
        (("value: 100ms", "value: 101ms"), "value: 100ms", "write 100ms, as in payment-model-config"),
        (("value: 1s", "value: 1001ms"), "value: 1s", "write 1s, as in payment-model-config"),
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
def test_equal_or_unset_values_agree(function: Edit, tmp_path: Path) -> None:
    assert check(Case(function=(function,)), tmp_path) == []


def test_without_an_inference_config_func_yaml_sets_the_batching(tmp_path: Path) -> None:
    edits = (('value: "32"', 'value: "8"'), ("target: 64", "target: 16"))
    assert check(Case(models=((CONFIG_GONE, ""),), function=edits), tmp_path) == []


def test_the_wait_in_func_yaml_must_be_below_its_timeout(tmp_path: Path) -> None:
    (found,) = check(Case(models=((CONFIG_GONE, ""),), function=(("value: 100ms", "value: 1s"),)), tmp_path)
    assert found.code == "wait-not-below-timeout"
    assert found.where == f"{tmp_path}/func.yaml:{line_of('value: 1s')}"


@pytest.mark.parametrize(
    ("function", "what"),
    [
        (
            ("liveness: /healthz/live", "liveness: /l"),
            "deploy.healthEndpoints.liveness: func.yaml has /l, but the image",
        ),
        (
            ("readiness: /healthz/ready", "readiness: /r"),
            "deploy.healthEndpoints.readiness: func.yaml has /r, but the image",
        ),
        (("invoke: http", "invoke: http\ndomain: a.example"), "domain: scalezero deploy cannot apply it"),
        (
            ("  volumes:", "  volumes:\n    - {persistentVolumeClaim: {claimName: c}, path: /s}"),
            "run.volumes.0: scalezero deploy cannot apply it",
        ),
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


SAME = "[{source: default, filters: {type: a}}, {source: b}]"
EVENTS = "{target: on_event, triggers: [{type: a}, {name: rest, broker: b}], delivery: {deadLetterSink: {function: d}}}"


def subscribed(subscriptions: str) -> Edit:
    return ("deploy:", f"deploy:\n  subscriptions: {subscriptions}")


@pytest.mark.parametrize(
    ("subscriptions", "what"),
    [
        (SAME, []),
        (SAME.replace("type: a", "type: b"), ["deploy.subscriptions[0]: no trigger", "deploy.subscriptions: 1 of the"]),
        ("[{source: b}]", ["deploy.subscriptions: 1 of the triggers of model.yaml are not among them"]),
        (SAME.replace("]", ", {source: c}]"), ["deploy.subscriptions[2]: no trigger of model.yaml has this source"]),
    ],
)
def test_triggers_and_subscriptions_are_the_same_if_both_are_declared(
    subscriptions: str, what: list[str], tmp_path: Path
) -> None:
    case = Case(models=(events_edit(EVENTS),), function=(subscribed(subscriptions),))
    found = [each for each in check(case, tmp_path) if each.code == "func-yaml-disagrees"]
    assert [each.what[: len(start)] for each, start in zip(found, what, strict=True)] == what
    for each in found:
        assert each.where == f"{tmp_path}/func.yaml:{line_of('deploy:') + 1}"


@pytest.mark.parametrize(
    ("function", "fix"),
    [
        (("envs:", "envs:\n    - {name: SCALEZERO_EVENT_TARGET, value: other}"), "write on_event, as in the events of"),
        (("envs:", "envs:\n    - {name: SCALEZERO_EVENT_TARGET, value: on_event}"), None),
        (("invoke: http", "invoke: cloudevent"), None),
    ],
)
def test_the_target_of_events_must_agree(function: Edit, fix: str | None, tmp_path: Path) -> None:
    case = Case(models=(events_edit(EVENTS),), function=(function,))
    found = [each.fix for each in check(case, tmp_path) if each.code == "func-yaml-disagrees"]
    assert [each.startswith(fix or "") for each in found] == ([True] if fix else [])


@pytest.mark.parametrize(("signature", "count"), [("http", 1), ("cloudevent", 0), ("event", 0)])
def test_a_function_that_is_invoked_with_events_has_a_signature_for_them(
    signature: str, count: int, tmp_path: Path
) -> None:
    variable = ("envs:", f"envs:\n    - {{name: FUNCTION_SIGNATURE_TYPE, value: {signature}}}")
    found = check(Case(function=(("invoke: http", "invoke: cloudevent"), variable)), tmp_path)
    assert [each.code for each in found] == ["func-yaml-disagrees"] * count
