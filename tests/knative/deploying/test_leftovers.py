"""What a delete keeps is named, with its other users or with the command that deletes it."""

import pytest

from knative.deploying.leftovers import Leftover, leftovers
from knative.deploying.removing import kept_after
from knative.manifests import DeploymentOptions, Pin, RegistryAccess, desired
from knative.objects import Manifest, Ref
from tests.knative.deploying.test_apply import applied
from tests.knative.fake_cluster import FakeCluster
from tests.knative.manifests.test_steps import read, version

OPTIONS = DeploymentOptions(image="scalezero:0.1", s3=RegistryAccess(secret="keys"))  # noqa: S106 - a name
A, B = version("a-v1", "a", path="s3://models/a.onnx"), version("b-v1", "b", path="s3://models/b$.onnx")


@pytest.fixture
def cluster() -> FakeCluster:
    made = FakeCluster()
    made.namespace = "shop"
    pins = {"s3://models/a.onnx": Pin("1" * 64, "v7")}
    applied(made, desired(read(A, B), OPTIONS, pins))
    return made


def test_the_secret_of_another_model_stays_for_it_and_the_model_can_be_deleted(cluster: FakeCluster) -> None:
    model, secret = kept_after(cluster, [Ref("Service", "a")])
    assert model == Leftover("s3://models/a.onnx", (), "aws s3 rm 's3://models/a.onnx'")
    assert secret == Leftover("secret/keys", ("b-v1",), "kubectl delete secret/keys --namespace shop")
    assert "b-v1" in str(secret)
    assert secret.command not in str(secret)
    assert model.command in str(model)


def test_with_the_last_model_everything_can_be_deleted(cluster: FakeCluster) -> None:
    kept = kept_after(cluster, [Ref("Service", "a"), Ref("Service", "b")])
    assert {each.name: each.users for each in kept} == {
        "s3://models/a.onnx": (),
        "secret/keys": (),
        "s3://models/b$.onnx": (),
    }


def test_the_deployment_that_knative_makes_for_a_revision_is_no_other_user(cluster: FakeCluster) -> None:
    spec = cluster.objects[Ref("Revision", "a-v1")]["spec"]
    labels = {"serving.knative.dev/revision": "a-v1", "serving.knative.dev/service": "a"}
    metadata = {"name": "a-v1-deployment", "labels": labels, "resourceVersion": "0"}
    made: Manifest = {"kind": "Deployment", "metadata": metadata, "spec": {"template": {"spec": spec}}}
    cluster.objects[Ref("Deployment", "a-v1-deployment")] = made
    assert [each.users for each in kept_after(cluster, [Ref("Service", "a")])] == [(), ("b-v1",)]


def test_nothing_is_kept_of_a_model_that_does_not_exist(cluster: FakeCluster) -> None:
    assert kept_after(cluster, [Ref("Service", "c")]) == ()


def test_every_reference_of_a_pod_counts() -> None:
    pod: Manifest = {
        "initContainers": [{"envFrom": [{"secretRef": {"name": "whole"}}, {"configMapRef": {"name": "settings"}}]}],
        "containers": [{"env": [{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "one", "key": "k"}}}]}],
        "volumes": [
            {"name": "s", "secret": {"secretName": "mounted"}},
            {"name": "c", "configMap": {"name": "files"}},
            {"name": "e", "emptyDir": {}},
        ],
    }
    deployment: Manifest = {"metadata": {"name": "d"}, "spec": {"template": {"spec": pod}}}
    names = [each.name for each in leftovers([deployment], [], namespace="default")]
    assert names == ["secret/whole", "configmap/settings", "configmap/one", "secret/mounted", "configmap/files"]


def test_a_model_of_the_image_is_none_of_the_registry() -> None:
    revision: Manifest = {
        "metadata": {"name": "r"},
        "spec": {"containers": [{"env": [{"name": "SCALEZERO_MODEL_URI", "value": "/models/m.onnx"}]}]},
    }
    assert leftovers([revision], [], namespace="default") == ()


def test_the_secret_of_a_deployment_of_another_server_is_kept(cluster: FakeCluster) -> None:
    pod: Manifest = {"containers": [{"envFrom": [{"secretRef": {"name": "theirs"}}]}]}
    ref = Ref("Deployment", "serving")
    metadata = {"name": "serving", "resourceVersion": "0"}
    cluster.objects[ref] = {"kind": "Deployment", "metadata": metadata, "spec": {"template": {"spec": pod}}}
    assert [each.name for each in kept_after(cluster, [ref])] == ["secret/theirs"]
