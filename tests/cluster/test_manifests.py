"""Tests of the cluster's changes to Knative's own YAML."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster import manifests

CLUSTER = manifests.Cluster(domain="functions.test", tag="v7")


def rendered(*objects: dict[str, Any]) -> list[manifests.Manifest]:
    return list(manifests.rendered([yaml.safe_dump_all(objects)], CLUSTER))


def config_map(name: str, **data: str) -> dict[str, Any]:
    return {"kind": "ConfigMap", "metadata": {"name": name}, "data": data}


def deployment(**container: object) -> dict[str, Any]:
    pod = {"spec": {"containers": [{"name": "it", **container}]}}
    return {"kind": "Deployment", "metadata": {"name": "it"}, "spec": {"template": pod}}


def container_of(manifest: manifests.Manifest) -> dict[str, Any]:
    (container,) = manifest["spec"]["template"]["spec"]["containers"]
    assert isinstance(container, dict)
    return container


@pytest.mark.parametrize(
    ("written", "image"),
    [
        ("ko://knative.dev/serving/cmd/queue", "dev.local/queue:v7"),
        ("ko://knative.dev/net-kourier/cmd/kourier", "dev.local/kourier:v7"),
        ("ko://knative.dev/eventing/cmd/broker/filter", "dev.local/eventing-filter:v7"),
        ("ko://knative.dev/eventing/cmd/in_memory/channel_controller", "dev.local/eventing-channel-controller:v7"),
    ],
)
def test_go_packages_are_replaced_with_the_images_of_the_build(written: str, image: str) -> None:
    assert manifests.with_images(f"queue-sidecar-image: {written}\n", "v7") == f"queue-sidecar-image: {image}\n"


def test_envoys_image_is_that_of_the_build() -> None:
    assert manifests.with_images("- image: docker.io/envoyproxy/envoy:v1.34\n", "v7") == "- image: dev.local/envoy:v7\n"


def test_settings_are_added_to_those_of_upstream() -> None:
    (changed,) = rendered(config_map("config-autoscaler", _example="..."))
    assert changed["data"] == {"_example": "..."} | manifests.AUTOSCALER


def test_the_domain_and_the_ingress_are_set() -> None:
    domain, network = rendered(config_map("config-domain"), config_map("config-network"))
    assert domain["data"] == {"functions.test": ""}
    assert network["data"] == {"ingress-class": manifests.INGRESS_CLASS}


@pytest.mark.parametrize("name", ["config-features", "config-defaults", "config-deployment", "config-gc"])
def test_other_settings_do_not_change(name: str) -> None:
    assert rendered(config_map(name, some="value")) == [config_map(name, some="value")]


def test_a_container_has_small_requests_and_a_probe_every_second() -> None:
    (changed,) = rendered(
        deployment(
            resources={"requests": {"cpu": "300m"}, "limits": {"memory": "1Gi"}},
            readinessProbe={"periodSeconds": 10, "httpGet": {"port": 8080}},
            lifecycle={"preStop": {"exec": {"command": ["/bin/sh"]}}},
        )
    )
    assert container_of(changed) == {
        "name": "it",
        "resources": {"requests": manifests.REQUESTS, "limits": {"memory": "1Gi"}},
        "readinessProbe": {"periodSeconds": 1, "initialDelaySeconds": 0, "httpGet": {"port": 8080}},
    }


def test_kinds_for_several_nodes_are_left_out() -> None:
    scaler = {"kind": "HorizontalPodAutoscaler", "metadata": {"name": "activator"}}
    budget = {"kind": "PodDisruptionBudget", "metadata": {"name": "activator-pdb"}}
    assert rendered(scaler, budget) == []


def test_the_gateway_gets_port_80_of_the_node_and_other_services_do_not_change() -> None:
    gateway = {"kind": "Service", "metadata": {"name": "kourier"}, "spec": {"type": "LoadBalancer", "ports": []}}
    other = {"kind": "Service", "metadata": {"name": "webhook"}, "spec": {"ports": [{"port": 443}]}}
    changed, same = rendered(gateway, other)
    assert changed["spec"]["type"] == "NodePort"
    assert [port["nodePort"] for port in changed["spec"]["ports"]] == [80]
    assert same == other


def test_files_are_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("200-b.yaml", "100-a.yaml", "other.txt"):
        tmp_path.joinpath(name).touch()
    assert [path.name for path in manifests.matching(tmp_path, "*.yaml")] == ["100-a.yaml", "200-b.yaml"]


def test_a_pattern_without_a_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"has no moved/\*\.yaml"):
        manifests.matching(tmp_path, "moved/*.yaml")
