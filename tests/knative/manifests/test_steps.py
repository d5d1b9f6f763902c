"""Properties of all manifests, and the order in which they are applied."""

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knative.manifests import DeploymentOptions, Step, desired
from knative.manifests.environment import settings_of
from knative.resources import Resources
from runtime.errors import BadSetting
from runtime.settings import settings_from
from tests.knative.documents import read, split, version
from tests.knative.manifests import strategies
from tests.knative.manifests.admission import violations

_REFERENCE = re.compile(r"\$\$|\$\([^)]*\)")
OPTIONS = DeploymentOptions(image="scalezero:0.1", namespace=strategies.NAMESPACE)


def services(steps: tuple[Step, ...]) -> list[Step]:
    return [step for step in steps if step.manifest["kind"] == "Service"]


def environ(service: dict[str, Any]) -> dict[str, str]:
    """Return the variables of the process, after the kubelet replaced `$$` by `$` and expanded `$(NAME)`."""
    env = service["spec"]["template"]["spec"]["containers"][0]["env"]
    return {each["name"]: _REFERENCE.sub(_expanded, each["value"]) for each in env if "value" in each}


def _expanded(found: re.Match[str]) -> str:
    return "$" if found[0] == "$$" else "expanded"


def largest_batch(resources: Resources, options: DeploymentOptions) -> int:
    """Return the largest batch size of the configs, or the operator's without a config."""
    return max([each.spec.batch_size for each in resources.inference_configs] or [options.runtime.batch_size])


@given(strategies.resources(), strategies.deployments())
def test_knative_accepts_every_manifest(resources: Resources, options: DeploymentOptions) -> None:
    steps = desired(resources, options)
    assert [violation for step in steps for violation in violations(step.manifest)] == []


@given(strategies.resources(), strategies.deployments())
def test_a_pod_reads_the_declared_settings_from_its_variables(resources: Resources, options: DeploymentOptions) -> None:
    rendered = services(desired(resources, options))
    for declared, step in zip(resources.model_versions, rendered, strict=True):
        expected = settings_of(declared, resources.config_of(declared.spec.model_name), options)
        assert settings_from(environ(step.manifest)) == expected
        assert expected.model_uri == declared.spec.storage.path


@given(strategies.resources(), strategies.deployments())
def test_each_version_is_created_by_one_step_and_only_the_last_service_is_final(
    resources: Resources, options: DeploymentOptions
) -> None:
    rendered = services(desired(resources, options))
    assert [step.makes for step in rendered] == [each.metadata.name for each in resources.model_versions]
    assert [step.final for step in rendered] == [False] * (len(rendered) - 1) + [True]


@given(strategies.resources(), strategies.deployments())
def test_traffic_goes_to_revisions_of_earlier_steps_or_to_needed_ones(
    resources: Resources, options: DeploymentOptions
) -> None:
    existing: set[str] = set()
    for step in desired(resources, options):
        existing |= {step.makes} if step.makes else set()
        targets = {each["revisionName"] for each in step.manifest.get("spec", {}).get("traffic", [])}
        assert targets <= existing | set(step.needs)
        assert not set(step.needs) & {each.metadata.name for each in resources.model_versions}


@given(strategies.resources(), strategies.deployments(), st.data())
def test_a_concurrency_of_at_least_twice_the_batch_size_is_accepted(
    resources: Resources, options: DeploymentOptions, data: st.DataObject
) -> None:
    minimum = 2 * largest_batch(resources, options)
    concurrency = data.draw(st.sampled_from([0, *range(minimum, 1001)]))
    for step in services(desired(resources, replace(options, concurrency=concurrency))):
        assert step.manifest["spec"]["template"]["spec"]["containerConcurrency"] == concurrency


@given(strategies.resources(), strategies.deployments(), st.data())
def test_a_concurrency_below_twice_the_batch_size_is_refused(
    resources: Resources, options: DeploymentOptions, data: st.DataObject
) -> None:
    minimum = 2 * largest_batch(resources, options)
    concurrency = data.draw(st.integers(1, minimum - 1) | st.integers(1001, 9999) | st.integers(-9, -1))
    with pytest.raises(BadSetting, match="concurrency="):
        desired(resources, replace(options, concurrency=concurrency))


def test_without_a_split_the_first_version_gets_all_traffic_and_the_others_only_a_tag() -> None:
    steps = desired(read(version("m-v1", "m"), version("m-v2", "m", number="2")), OPTIONS)
    assert steps[-1].manifest["spec"]["traffic"] == [
        {"revisionName": "m-v1", "percent": 100, "tag": "v1"},
        {"revisionName": "m-v2", "percent": 0, "tag": "v2"},
    ]


def test_a_split_with_the_name_of_the_model_has_no_route() -> None:
    steps = desired(read(version("m-v1", "m"), split("m", "m-v1")), OPTIONS)
    assert [step.manifest["kind"] for step in steps] == ["ServiceAccount", "Service"]


def test_a_split_between_models_is_only_a_route() -> None:
    """A Service routes only to its own revisions."""
    steps = desired(read(version("a-v1", "a"), version("b-v1", "b"), split("ab", "a-v1", "b-v1")), OPTIONS)
    assert [step.manifest["spec"]["traffic"][0]["percent"] for step in services(steps)] == [100, 100]
    assert steps[-1].manifest["kind"] == "Route"
    assert [each["percent"] for each in steps[-1].manifest["spec"]["traffic"]] == [50, 50]


def test_a_split_of_undeclared_revisions_needs_all_of_them() -> None:
    (step,) = desired(read(split("payment-model-ab", "payment-model-v1", "payment-model-v2")), OPTIONS)
    assert step.manifest["kind"] == "Route"
    assert step.needs == ("payment-model-v1", "payment-model-v2")


def test_an_existing_service_account_is_used_and_not_created() -> None:
    options = DeploymentOptions(image="scalezero:0.1", service_account="reader")
    (step,) = desired(read(version("m-v1", "m")), options)
    assert step.manifest["spec"]["template"]["spec"]["serviceAccountName"] == "reader"


@pytest.mark.parametrize(
    ("documents", "field", "value"),
    [
        pytest.param([version("7b-v1", "7b")], "modelName", "7b", id="a model whose name starts with a digit"),
        pytest.param(
            [version(f"m-{58 * 'v'}", "m"), version(f"m-{59 * 'v'}", "m", number="2")],
            None,
            None,
            id="long revision names",
        ),
        pytest.param(
            [version(f"{31 * 'm'}-{31 * 'v'}", 31 * "m")],
            None,
            None,
            id="tag and name have the maximum length of a host name",
        ),
        pytest.param(
            [version(f"{31 * 'm'}-{30 * '7'}", 31 * "m")],
            "metadata.name",
            f"{31 * 'm'}-{30 * '7'}",
            id="tag and name are too long for a host name",
        ),
        pytest.param(
            [version("m-v1", "m"), split("m", "x-v1")],
            "metadata.name",
            "m",
            id="a Service with revisions of another model",
        ),
        pytest.param(
            [version("m-v1", "m"), split("m-ab", "m-v1"), split("m-ba", "m-v1")], "traffic", "m-ba", id="two splits"
        ),
        pytest.param([split("1ab", "m-v1")], "metadata.name", "1ab", id="a Route whose name starts with a digit"),
        pytest.param([version("m-v1", "m", path="a.onnx")], "storage.path", "a.onnx", id="a relative path"),
        pytest.param([version("m-v1", "m", path="/models/a.onnx")], None, None, id="a path in the image"),
        pytest.param(
            [version("m-v1", "m").replace("{name: m-v1}", "{name: m-v1, namespace: other}")],
            "metadata.namespace",
            "other (ModelVersion m-v1)",
            id="another namespace",
        ),
    ],
)
def test_a_resource_that_knative_would_refuse_is_refused_with_its_field(
    documents: list[str], field: str | None, value: str | None
) -> None:
    resources = read(*documents)
    if field is None:
        assert [violation for step in desired(resources, OPTIONS) for violation in violations(step.manifest)] == []
        return
    with pytest.raises(BadSetting) as caught:
        desired(resources, OPTIONS)
    assert (caught.value.details["name"], caught.value.details["value"]) == (field, value)


def test_a_timeout_that_the_runtime_refuses_is_refused_before_the_deployment() -> None:
    config = (
        "---\napiVersion: ml.example.com/v1\nkind: InferenceConfig\nmetadata: {name: m-config}\n"
        "spec: {batchSize: 1, maxWaitTime: 0s, timeout: 500us}\n"
    )
    with pytest.raises(BadSetting, match=r"SCALEZERO_TIMEOUT='500us'"):
        desired(read(version("m-v1", "m"), config), OPTIONS)
