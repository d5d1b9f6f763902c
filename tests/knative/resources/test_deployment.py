"""Deployments of other servers, written by hand or by kubectl, and the errors for wrong fields."""

from pathlib import Path

import pytest
import yaml

from knative.resources import BadManifest, ForeignDeployment, parse_resources

SPEC = Path(__file__).with_name("spec")
TENSORFLOW = (SPEC / "tensorflow-serving.yaml").read_text("utf-8")
UNKNOWN = "an unknown field"
NAMED = "  name: tensorflow-serving\n"


def read(text: str) -> ForeignDeployment:
    (deployment,) = parse_resources(text, file="d.yaml").deployments
    return deployment


def with_pod(**fields: object) -> str:
    document = yaml.safe_load(TENSORFLOW)
    document["spec"]["template"]["spec"] |= fields
    return yaml.safe_dump(document)


@pytest.mark.parametrize("file", ["tensorflow-serving", "pytorch-serve", "wasmedge-ml"])
def test_the_users_file_is_read_as_written(file: str) -> None:
    text = (SPEC / f"{file}.yaml").read_text("utf-8")
    assert read(text).as_manifest() == yaml.safe_load(text)


def test_the_fields_that_are_used_are_typed() -> None:
    deployment = read(TENSORFLOW)
    (container,) = deployment.spec.template.spec.containers
    assert deployment.spec.replicas == 3
    assert [each.container_port for each in container.ports] == [8500, 8501]
    assert {each.name: each.value for each in container.env} == {
        "MODEL_NAME": "payment-model",
        "MODEL_BASE_PATH": "/models",
    }


def test_unused_fields_of_kubernetes_are_kept() -> None:
    fields: dict[str, object] = {
        "hostPID": False,
        "setHostnameAsFQDN": True,
        "tolerations": [{"key": "a", "operator": "Exists"}],
    }
    fields["volumes"] = [{"name": "models", "persistentVolumeClaim": {"claimName": "models"}}]
    assert read(with_pod(**fields)).as_manifest()["spec"]["template"]["spec"].items() >= fields.items()


def test_a_deployment_as_kubectl_prints_it_is_read() -> None:
    printed = yaml.safe_load(TENSORFLOW)
    printed["metadata"] |= {"uid": "a", "resourceVersion": "1", "creationTimestamp": None, "managedFields": [{}]}
    printed["status"] = {"replicas": 3}
    printed["spec"]["template"]["metadata"] = {"creationTimestamp": None, "labels": {"app": "a"}}
    printed["spec"]["selector"] = {"matchLabels": {"app": "a"}}
    assert read(yaml.safe_dump(printed)).as_manifest()["status"] == {"replicas": 3}


@pytest.mark.parametrize("quantity", [1, 0.5, "200m", "1e3", "+2", ".5Gi", "1.", "3E"])
def test_a_quantity_has_the_format_of_kubernetes(quantity: object) -> None:
    containers = [{"name": "a", "image": "a", "resources": {"limits": {"cpu": quantity}}}]
    (container,) = read(with_pod(containers=containers)).spec.template.spec.containers
    assert container.resources is not None
    assert container.resources.limits == {"cpu": quantity}


@pytest.mark.parametrize(
    ("written", "instead", "place", "field", "got"),
    [
        ("replicas: 3", "replica: 3", 6, "spec.replica", UNKNOWN),
        ("replicas: 3", "replicas: -1", 6, "spec.replicas", "-1"),
        ("replicas: 3", 'replicas: "3"', 6, "spec.replicas", '"3"'),
        (NAMED, "  name: Tensor\n", 4, "metadata.name", '"Tensor"'),
        (NAMED, f"  name: {64 * 'a'}\n", 4, "metadata.name", f'"{64 * "a"}"'),
        ("apps/v1", "extensions/v1beta1", 1, "apiVersion", '"extensions/v1beta1"'),
        ("  template:", "  templates:", 7, "spec.templates", UNKNOWN),
        ("      containers:", "      container:", 9, "spec.template.spec.container", UNKNOWN),
        ("image: ", "imge: ", 11, "spec.template.spec.containers[0].imge", UNKNOWN),
        ("          image: tensorflow/serving:latest\n", "", 10, "spec.template.spec.containers[0].image", "nothing"),
        ("8501", "85010", 14, "spec.template.spec.containers[0].ports[1].containerPort", "85010"),
        ("8501", "8500", 14, "spec.template.spec.containers[0].ports[1].containerPort", "8500"),
        ("value: /models", "value: 1", 19, "spec.template.spec.containers[0].env[1].value", "1"),
        (
            "name: MODEL_BASE_PATH",
            "name: MODEL_NAME",
            18,
            "spec.template.spec.containers[0].env[1].name",
            '"MODEL_NAME"',
        ),
        ("name: MODEL_NAME", "name: A=B", 16, "spec.template.spec.containers[0].env[0].name", '"A=B"'),
    ],
)
def test_a_wrong_field_has_its_place(written: str, instead: str, place: int, field: str, got: str) -> None:
    assert written in TENSORFLOW
    with pytest.raises(BadManifest) as caught:
        read(TENSORFLOW.replace(written, instead, 1))
    details = caught.value.details
    assert (details["line"], details["field"], details["value"]) == (place, field, got)


def test_the_error_for_an_unknown_field_of_a_pod_suggests_a_known_field() -> None:
    with pytest.raises(BadManifest, match="did you mean nodeSelector"):
        read(with_pod(nodeSelectors={}))


def test_two_containers_with_the_same_name_are_refused() -> None:
    with pytest.raises(BadManifest, match=r"containers\[1\].name: got \"a\"; expected each name of containers once"):
        read(with_pod(containers=[{"name": "a", "image": "a"}, {"name": "a", "image": "b"}]))


def test_a_variable_has_one_value() -> None:
    env = [{"name": "A", "value": "a", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]
    with pytest.raises(BadManifest, match=r"env\[0\].valueFrom: got a second value"):
        read(with_pod(containers=[{"name": "a", "image": "a", "env": env}]))


def test_one_port_may_have_two_protocols() -> None:
    ports = [{"containerPort": 53, "protocol": "TCP"}, {"containerPort": 53, "protocol": "UDP"}]
    read(with_pod(containers=[{"name": "a", "image": "a", "ports": ports}]))


def test_a_selector_that_does_not_match_the_template_is_refused() -> None:
    document = yaml.safe_load(TENSORFLOW)
    document["spec"]["selector"] = {"matchLabels": {"app": "one"}}
    document["spec"]["template"]["metadata"] = {"labels": {"app": "two"}}
    with pytest.raises(BadManifest, match=r'spec.selector.matchLabels.app: got "one"; expected "two"'):
        read(yaml.safe_dump(document))
