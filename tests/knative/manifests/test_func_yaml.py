"""func.yaml and the manifests deploy the same function: the values that both contain are equal."""

from typing import Any

import pytest
import yaml

from knative.function.configuration import Flags, deployment_options, func_yaml_of_folder
from knative.manifests import desired
from knative.resources import read_resources
from tests import ROOT

FOLDER = ROOT / "functions" / "payment_model"
PREFIX = "autoscaling.knative.dev/"


@pytest.fixture
def function() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / "func.yaml").read_text("utf-8"))
    return content


@pytest.fixture
def template() -> dict[str, Any]:
    """Return the template of the first version, the one that func.yaml names."""
    resources = read_resources(FOLDER)
    options = deployment_options(func_yaml_of_folder(FOLDER, resources.models), environ={}, flags=Flags())
    steps = desired(resources, options)
    first = next(step.manifest for step in steps if step.manifest["kind"] == "Service")
    result: dict[str, Any] = first["spec"]["template"]
    return result


def test_scale_and_concurrency_are_the_same(function: dict[str, Any], template: dict[str, Any]) -> None:
    scale, limits = (function["deploy"]["options"][key] for key in ("scale", "resources"))
    annotations = template["metadata"]["annotations"]
    assert {
        "min": int(annotations[f"{PREFIX}min-scale"]),
        "max": int(annotations[f"{PREFIX}max-scale"]),
        "metric": annotations[f"{PREFIX}metric"],
        "target": int(annotations[f"{PREFIX}target"]),
        "utilization": int(annotations[f"{PREFIX}target-utilization-percentage"]),
    } == scale
    assert template["spec"]["containerConcurrency"] == limits["limits"]["concurrency"]


def test_the_resources_and_the_cache_are_the_same(function: dict[str, Any], template: dict[str, Any]) -> None:
    (container,) = template["spec"]["containers"]
    resources = function["deploy"]["options"]["resources"]
    del resources["limits"]["concurrency"]
    assert container["resources"] == resources
    (volume,) = function["run"]["volumes"]
    assert {"name": "cache", "mountPath": volume["path"]} in container["volumeMounts"]
    assert {"name": "cache", "emptyDir": volume["emptyDir"]} in template["spec"]["volumes"]


def test_settings_and_probes_are_the_same(function: dict[str, Any], template: dict[str, Any]) -> None:
    (container,) = template["spec"]["containers"]
    assert container["image"] == function["image"]
    declared = {
        each["name"]: each["value"]
        for each in function["run"]["envs"]
        if each["name"].startswith(("SCALEZERO_", "FUNCTION_"))
    }
    rendered = {each["name"]: each.get("value") for each in container["env"]}
    assert {name: rendered.get(name) for name in declared} == declared
    health = function["deploy"]["healthEndpoints"]
    assert container["livenessProbe"]["httpGet"]["path"] == health["liveness"]
    assert container["readinessProbe"]["httpGet"]["path"] == health["readiness"]
