"""The objects that a delete keeps are reported with their other users, or with the command that deletes them."""

from collections.abc import Mapping

import pytest

from knative.api.errors import KnativeMissing
from knative.deploying.leftovers import Leftover, leftovers, users_of
from knative.deploying.removing import kept_after, model_users
from knative.manifests import DeploymentOptions, Pin, RegistryAccess, desired
from knative.objects import Manifest, Ref
from runtime.configuration.guest_code import GuestCode, GuestCodes
from runtime.variants.pinned import pinned_from
from tests.knative.deploying.applying import apply_steps
from tests.knative.documents import read, version
from tests.knative.fake_cluster import FakeCluster
from tests.knative.published import assessment, variant
from tests.knative.resources.test_guest import CONFIG

OPTIONS = DeploymentOptions(image="scalezero:0.1", s3=RegistryAccess(secret="keys"))  # noqa: S106 - a name
A, B = version("a-v1", "a", path="s3://models/a.onnx"), version("b-v1", "b", path="s3://models/b$.onnx")


@pytest.fixture
def cluster() -> FakeCluster:
    fake = FakeCluster()
    fake.namespace = "shop"
    variants = pinned_from(
        [variant(), variant("int8-nncf", prepared=("cpu",))], [assessment("intel", "int8-nncf", {"int8-nncf": 2.0})]
    )
    pins = {"s3://models/a.onnx": Pin("1" * 64, "v7", variants)}
    apply_steps(fake, desired(read(A, B), OPTIONS, pins))
    return fake


def test_a_shared_secret_has_its_other_users_and_a_model_file_has_its_delete_command(cluster: FakeCluster) -> None:
    model, secret = kept_after(cluster, [Ref("Service", "a")])
    assert model == Leftover("s3://models/a.onnx", (), "scalezero models delete 's3://models/a.onnx'")
    assert secret == Leftover("secret/keys", ("b-v1",), "kubectl delete secret/keys --namespace shop")
    assert "b-v1" in str(secret)
    assert secret.command not in str(secret)
    assert model.command in str(model)


def test_nothing_has_other_users_when_the_last_model_is_deleted(cluster: FakeCluster) -> None:
    kept = kept_after(cluster, [Ref("Service", "a"), Ref("Service", "b")])
    assert {each.name: each.users for each in kept} == {
        "s3://models/a.onnx": (),
        "secret/keys": (),
        "s3://models/b$.onnx": (),
    }


def test_the_deployment_of_a_revision_does_not_count_as_another_user(cluster: FakeCluster) -> None:
    spec = cluster.objects[Ref("Revision", "a-v1")]["spec"]
    labels = {"serving.knative.dev/revision": "a-v1", "serving.knative.dev/service": "a"}
    metadata = {"name": "a-v1-deployment", "labels": labels, "resourceVersion": "0"}
    deployment: Manifest = {"kind": "Deployment", "metadata": metadata, "spec": {"template": {"spec": spec}}}
    cluster.objects[Ref("Deployment", "a-v1-deployment")] = deployment
    assert [each.users for each in kept_after(cluster, [Ref("Service", "a")])] == [(), ("b-v1",)]


def test_the_users_of_a_model_are_revisions_and_deployments_that_knative_did_not_create(cluster: FakeCluster) -> None:
    spec = cluster.objects[Ref("Revision", "a-v1")]["spec"]
    for name, labels in (("mine", {}), ("a-v1-deployment", {"serving.knative.dev/revision": "a-v1"})):
        deployment: Manifest = {
            "kind": "Deployment",
            "metadata": {"name": name, "labels": labels, "resourceVersion": "0"},
            "spec": {"template": {"spec": spec}},
        }
        cluster.objects[Ref("Deployment", name)] = deployment
    uris = ("s3://models/a.onnx", "s3://models/b$.onnx", "s3://models/c.onnx")
    assert model_users(cluster, uris) == {
        "s3://models/a.onnx": ("revision/a-v1", "deployment/mine"),
        "s3://models/b$.onnx": ("revision/b-v1",),
    }


@pytest.mark.parametrize(
    ("env", "used", "unused"),
    [
        ({"SCALEZERO_MODEL_URI": "S3://models/a$$.onnx?versionId=7"}, "s3://models/a$.onnx", "s3://models/a"),
        ({"SCALEZERO_MODEL_URI": "s3://models/a.onnx"}, "S3://models/a.onnx", "s3://models/a.onnx2"),
        ({"MODEL_STORE": "S3://models/store"}, "s3://models/store/a.mar", "s3://models/store-2/a.mar"),
        ({"MODEL_STORE": "s3://models/store/"}, "s3://models/store/a.mar", "s3://models/a.mar"),
        ({"MODEL_BASE_PATH": "s3://models"}, "s3://models/model/1/model.onnx", "s3://models/a.onnx"),
        ({"MODEL_BASE_PATH": "s3://models/", "MODEL_NAME": "a"}, "s3://models/a/1/model.onnx", "s3://models/ab/1"),
        ({"MODEL_BASE_PATH": "s3://models/x", "MODEL_NAME": None}, "s3://models/x/b/1/model.onnx", "s3://models/y"),
        ({"MODEL_STORE": "/models", "MODEL_NAME": "a"}, None, "s3://models/a"),
    ],
)
def test_a_model_is_used_under_every_form_of_its_uri_and_in_a_folder_that_is_served(
    env: Mapping[str, str | None], used: str | None, unused: str
) -> None:
    variables = [{"name": name, **({} if text is None else {"value": text})} for name, text in env.items()]
    pods: list[Manifest] = [
        {"kind": "Revision", "metadata": {"name": "r"}, "spec": {"containers": [{"env": variables}]}},
        {
            "kind": "Deployment",
            "metadata": {"name": "d"},
            "spec": {"template": {"spec": {"containers": [{"env": variables}]}}},
        },
    ]
    assert users_of(unused, pods) == ()
    if used is not None:
        assert users_of(used, pods) == ("revision/r", "deployment/d")


def test_without_knative_only_deployments_use_a_model(cluster: FakeCluster) -> None:
    class WithoutKnative(FakeCluster):
        def list(self, kind: str, *, labels: Mapping[str, str] = {}) -> list[Manifest]:
            if kind == "Revision":
                raise KnativeMissing("https://cluster.test")
            return super().list(kind, labels=labels)

    assert model_users(WithoutKnative(), ["s3://models/a.onnx"]) == {}


def test_a_model_that_does_not_exist_has_no_leftovers(cluster: FakeCluster) -> None:
    assert kept_after(cluster, [Ref("Service", "c")]) == ()


def test_every_reference_of_a_pod_to_a_secret_or_config_map_is_reported() -> None:
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


def test_a_model_file_in_the_image_is_not_reported() -> None:
    revision: Manifest = {
        "metadata": {"name": "r"},
        "spec": {"containers": [{"env": [{"name": "SCALEZERO_MODEL_URI", "value": "/models/m.onnx"}]}]},
    }
    assert leftovers([revision], [], namespace="default") == ()


def test_the_secret_of_a_deployment_of_another_server_is_reported(cluster: FakeCluster) -> None:
    pod: Manifest = {"containers": [{"envFrom": [{"secretRef": {"name": "other-secret"}}]}]}
    ref = Ref("Deployment", "serving")
    metadata = {"name": "serving", "resourceVersion": "0"}
    cluster.objects[ref] = {"kind": "Deployment", "metadata": metadata, "spec": {"template": {"spec": pod}}}
    assert [each.name for each in kept_after(cluster, [ref])] == ["secret/other-secret"]


@pytest.mark.parametrize("name", ["int8-nncf/model.onnx", "int8-nncf.cpu/model.onnx", "int8-nncf.cpu/model.onnx.data"])
def test_a_revision_uses_each_object_of_its_pinned_variants(cluster: FakeCluster, name: str) -> None:
    assert model_users(cluster, [uri := f"s3://models/a.onnx.variants/{name}"]) == {uri: ("revision/a-v1",)}


def test_an_object_of_a_model_that_no_revision_pins_has_no_user(cluster: FakeCluster) -> None:
    assert model_users(cluster, ["s3://models/a.onnx.variants/int8-dynamic/model.onnx"]) == {}


GUEST = "s3://models/guest/main.wasm"
PLACE = f"{GUEST}.code/wasmtime-50.0.1-1/intel-avx2/core.cwasm"
CODE = GuestCode("wasmtime-50.0.1-1", "intel-avx2", "core", PLACE, "2" * 64)


def with_guest() -> FakeCluster:
    """Return a cluster with a revision that pins a version of a guest, and a code of it."""
    fake = FakeCluster()
    fake.namespace = "shop"
    config = CONFIG.replace("GUEST", f"{{path: {GUEST}}}")
    pins = {GUEST: Pin("1" * 64, "v7", codes=GuestCodes([CODE]))}
    apply_steps(fake, desired(read(version("shop-v1", "shop"), config), DeploymentOptions(image="scalezero:0.1"), pins))
    return fake


def test_a_revision_uses_its_guest_and_the_code_that_it_pins() -> None:
    users = model_users(with_guest(), [GUEST, CODE.uri, f"{GUEST}.code/wasmtime-50.0.1-1/arm/core.cwasm"])
    assert users == {GUEST: ("revision/shop-v1",), CODE.uri: ("revision/shop-v1",)}


def test_code_in_a_form_that_cannot_be_read_is_used() -> None:
    """Another version of scalezero wrote it: whatever it names must not be deleted."""
    fake = with_guest()
    env = fake.objects[Ref("Revision", "shop-v1")]["spec"]["containers"][0]["env"]
    (variable,) = (each for each in env if each["name"] == "SCALEZERO_GUEST_CODE")
    variable["value"] = f'{{"codes": ["{CODE.uri}"]}}'
    assert model_users(fake, [CODE.uri]) == {CODE.uri: ("revision/shop-v1",)}


def test_a_guest_that_a_delete_keeps_is_named_without_its_code() -> None:
    kept = [each.name for each in kept_after(with_guest(), [Ref("Service", "shop")])]
    assert GUEST in kept
    assert CODE.uri not in kept
