"""A Deployment of another server gets the fields that the API server requires, and keeps every field of its file."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from knative.deploying.differences import differences
from knative.manifests import DeploymentOptions, desired
from knative.resources import BadManifest, parse_resources
from runtime.errors import BadSetting

OPTIONS = DeploymentOptions(image="scalezero:0.1", namespace="models")
NAME = "app.kubernetes.io/name"

names = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,9}[a-z0-9])?", fullmatch=True)
labels = st.dictionaries(st.sampled_from(["app", "tier", NAME]), names, max_size=3)
containers = st.fixed_dictionaries(
    {"name": names, "image": st.sampled_from(["a", "b:1"])},
    optional={
        "args": st.lists(names, min_size=1, max_size=2),
        "env": st.lists(
            st.fixed_dictionaries({"name": names, "value": names}),
            min_size=1,
            max_size=2,
            unique_by=lambda each: each["name"],
        ),
        "ports": st.lists(st.integers(1, 65535), min_size=1, max_size=2, unique=True).map(
            lambda ports: [{"containerPort": port} for port in ports]
        ),
        "resources": st.fixed_dictionaries({"limits": st.just({"cpu": "1", "memory": "64Mi"})}),
        "securityContext": st.just({"runAsUser": 1}),
    },
)


@st.composite
def deployments(draw: st.DrawFn) -> dict[str, Any]:
    """Generate Deployments that the API server accepts, or would accept with a selector and labels."""
    pod = {"containers": draw(st.lists(containers, min_size=1, max_size=2, unique_by=lambda each: each["name"]))}
    pod |= draw(st.sampled_from([{}, {"runtimeClassName": "wasm"}, {"nodeSelector": {"a": "b"}}]))
    spec: dict[str, Any] = {"template": {"spec": pod}}
    pod_labels = draw(labels)
    if pod_labels:
        spec["template"]["metadata"] = {"labels": pod_labels}
        if draw(st.booleans()):
            spec["selector"] = {"matchLabels": dict(list(pod_labels.items())[:1])}
    if replicas := draw(st.integers(0, 5)):
        spec["replicas"] = replicas
    metadata = {
        "name": draw(names),
        **draw(st.sampled_from([{}, {"labels": {"team": "a"}}, {"annotations": {"a": "b"}}])),
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def completed(document: dict[str, Any]) -> dict[str, Any]:
    (step,) = desired(parse_resources(yaml.safe_dump(document), file="d.yaml"), OPTIONS)
    return step.manifest


@given(deployments())
def test_every_field_of_the_file_is_kept(document: dict[str, Any]) -> None:
    assert differences(document, completed(document)) == ()


@given(deployments())
def test_a_completed_deployment_is_not_changed_again(document: dict[str, Any]) -> None:
    once = completed(document)
    assert completed(once) == once


@given(deployments())
def test_the_selector_matches_the_pods_and_is_not_empty(document: dict[str, Any]) -> None:
    spec = completed(document)["spec"]
    selected = spec["selector"]["matchLabels"]
    assert selected
    assert selected.items() <= spec["template"]["metadata"]["labels"].items()


def plain(**spec: object) -> dict[str, Any]:
    """Return a Deployment with one container and these fields of its spec."""
    template = {"spec": {"containers": [{"name": "a", "image": "a"}]}}
    head = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}}
    return {**head, "spec": {"template": template, **spec}}


def test_the_labels_of_a_selector_are_added_to_the_pods() -> None:
    spec = completed(plain(selector={"matchLabels": {"app": "a"}}))["spec"]
    assert spec["selector"] == {"matchLabels": {"app": "a"}}
    assert spec["template"]["metadata"]["labels"]["app"] == "a"


def test_an_empty_selector_is_replaced() -> None:
    """The API server refuses it, because it would match every pod of the namespace."""
    assert completed(plain(selector={}))["spec"]["selector"] == {"matchLabels": {NAME: "a"}}


def test_fields_that_the_api_server_wrote_are_left_out() -> None:
    document = plain()
    document["metadata"] |= {
        "uid": "1",
        "resourceVersion": "2",
        "managedFields": [],
        "annotations": {"deployment.kubernetes.io/revision": "3", "team": "a"},
    }
    document["status"] = {"replicas": 1}
    manifest = completed(document)
    assert set(manifest) == {"apiVersion", "kind", "metadata", "spec"}
    assert set(manifest["metadata"]) == {"name", "namespace", "labels", "annotations"}
    assert manifest["metadata"]["annotations"] == {"team": "a"}


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ({"cpu": 1, "memory": "1024Mi"}, {"cpu": "1", "memory": "1Gi"}),
        ({"cpu": 0.2}, {"cpu": "200m"}),
        ({"nvidia.com/gpu": 1, "memory": "1e9"}, {"nvidia.com/gpu": "1", "memory": "1e9"}),
    ],
)
def test_quantities_are_in_the_canonical_form_of_the_api_server(
    written: dict[str, Any], canonical: dict[str, str]
) -> None:
    """Otherwise the plan after an apply would not be empty."""
    document = plain()
    document["spec"]["template"]["spec"]["containers"][0]["resources"] = {"limits": written, "claims": []}
    (container,) = completed(document)["spec"]["template"]["spec"]["containers"]
    assert container["resources"] == {"limits": canonical, "claims": []}


def test_another_namespace_is_refused() -> None:
    document = plain()
    document["metadata"]["namespace"] = "other"
    with pytest.raises(BadSetting, match=r"other \(Deployment a\)"):
        completed(document)


def test_a_name_that_is_not_a_valid_label_is_refused() -> None:
    document = plain()
    document["metadata"]["name"] = 64 * "a"
    with pytest.raises(BadManifest, match=r"metadata.name"):
        completed(document)
