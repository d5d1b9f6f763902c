"""What `plan`, `apply`, `status` and `delete` do to a real cluster, and what they say when it does not go well."""

import json
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from knative.api.client import Cluster
from knative.api.errors import Outrun
from knative.commands.plan import opened, planned
from knative.deploying.apply import carry_out
from knative.function.configuration import Flags
from knative.objects import Manifest, Ref, ref_of
from runtime.registry import find
from tests.e2e.functions import function_yaml, image
from tests.e2e.namespace import SCALEZERO, SECRET, Namespace, until

VERSION = """\
---
apiVersion: ml.example.com/v1
kind: ModelVersion
metadata: {{name: {name}-v{number}}}
spec: {{modelName: {name}, version: "{number}", format: onnx, storage: {{type: s3, path: "{path}"}}}}
"""
SPLIT = """\
---
apiVersion: serving.knative.dev/v1
kind: Service
metadata: {{name: {name}-ab}}
spec: {{traffic: [{{revisionName: {name}-v1, percent: 50}}, {{revisionName: {name}-v2, percent: 50}}]}}
"""
ARTIFACT = "s3://models/payment-model-v1.onnx"


def model(
    folder: Path,
    name: str,
    *,
    versions: Sequence[int] = (1, 2),
    split: bool = True,
    secret: str = SECRET,
    path: str = ARTIFACT,
) -> Path:
    """Write a model's folder; each of its versions serves the same artifact."""
    folder.mkdir(exist_ok=True)
    documents = [VERSION.format(name=name, number=number, path=path) for number in versions]
    (folder / "model.yaml").write_text("".join([*documents, *([SPLIT.format(name=name)] if split else [])]))
    (folder / "func.yaml").write_text(function_yaml(name, secret=secret))
    return folder


@pytest.fixture(scope="module")
def shop(own: Namespace, deployed: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Path:  # published by then
    """A model `shop`, applied: v1 and v2 half and half."""
    folder = model(tmp_path_factory.mktemp("shop"), "shop")
    own.scalezero("apply", "-f", folder)
    return folder


def shares(own: Namespace, name: str = "shop") -> dict[str, int]:
    """The traffic as it is routed."""
    return {each["revisionName"]: each["percent"] for each in own.get("Service", name)["status"]["traffic"]}


def test_after_an_apply_the_plan_is_empty_and_another_apply_changes_nothing(own: Namespace, shop: Path) -> None:
    before = own.get("Service", "shop")["metadata"]["generation"]
    assert own.scalezero("plan", "-f", shop).splitlines()[-1] == "nothing to do"
    own.scalezero("apply", "-f", shop)
    assert own.get("Service", "shop")["metadata"]["generation"] == before


def test_status_tells_what_knative_has(own: Namespace, shop: Path) -> None:
    (told,) = json.loads(own.scalezero("status", "shop", "-o", "json"))
    assert (told["state"], told["url"]) == ("Ready", own.url("shop"))
    assert {each["name"]: each["percent"] for each in told["revisions"]} == {"shop-v1": 50, "shop-v2": 50}
    assert [each["name"] for each in told["splits"]] == ["shop-ab"]


def test_traffic_that_kn_has_set_is_refused_by_name_until_it_is_taken_over(own: Namespace, shop: Path) -> None:
    own.kn("service", "update", "shop", "--traffic", "shop-v1=90", "--traffic", "shop-v2=10")
    said = own.scalezero("apply", "-f", shop, code=2)
    assert "nothing was changed: service/shop: kn has set its traffic since" in said
    assert shares(own) == {"shop-v1": 90, "shop-v2": 10}
    own.scalezero("apply", "-f", shop, "--force-conflicts")
    assert shares(own) == {"shop-v1": 50, "shop-v2": 50}


def test_what_kn_does_between_the_plan_and_the_apply_is_not_written_over(own: Namespace, shop: Path) -> None:
    with_v3 = model(shop, "shop", versions=(1, 2, 3))
    try:
        project, cluster = opened((with_v3,), Flags(namespace=own.name), context=None)
        made = planned(project, cluster, find=find, force=False)
        own.kn("service", "update", "shop", "--traffic", "shop-v1=80", "--traffic", "shop-v2=20")
        with pytest.raises(Outrun, match="service/shop changed during the command"):
            carry_out(made.plan, made.observed, cluster, force=False, seconds=60, tell=lambda _: None)
    finally:
        model(shop, "shop")
    assert shares(own) == {"shop-v1": 80, "shop-v2": 20}


def test_without_a_split_a_new_version_waits_behind_its_tag_and_the_traffic_stays(
    own: Namespace, tmp_path: Path
) -> None:
    own.scalezero("apply", "-f", model(tmp_path, "lane", split=False))
    own.kn("service", "update", "lane", "--traffic", "lane-v1=30", "--traffic", "lane-v2=70")
    own.scalezero("apply", "-f", model(tmp_path, "lane", versions=(1, 2, 3), split=False))
    assert shares(own, "lane") == {"lane-v1": 30, "lane-v2": 70, "lane-v3": 0}
    assert own.url("lane", "v3")
    own.scalezero("delete", "lane")


@pytest.mark.parametrize("seconds", [1.0, 2.5])
def test_an_apply_that_is_killed_is_taken_up_by_the_next(own: Namespace, tmp_path: Path, seconds: float) -> None:
    folder = model(tmp_path, "cut")
    killed = subprocess.Popen(
        [SCALEZERO, "apply", "-f", folder, "-n", own.name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    time.sleep(seconds)
    killed.kill()
    killed.wait()
    own.scalezero("apply", "-f", folder)
    assert own.scalezero("plan", "-f", folder).splitlines()[-1] == "nothing to do"
    assert shares(own, "cut") == {"cut-v1": 50, "cut-v2": 50}
    own.scalezero("delete", "-f", folder)


@pytest.mark.parametrize(
    ("name", "secret", "path", "reason"),
    [
        pytest.param("keyless", "none", ARTIFACT, 'secret "none" not found', id="no Secret"),
        pytest.param(
            "void",
            SECRET,
            "s3://models/no-such.onnx",
            "s3://models/no-such.onnx: there is no such object",
            id="no artifact",
        ),
    ],
)
def test_a_version_that_cannot_come_up_is_told_with_its_reason(
    own: Namespace, tmp_path: Path, name: str, secret: str, path: str, reason: str
) -> None:
    folder = model(tmp_path, name, versions=(1,), split=False, secret=secret, path=path)
    said = own.scalezero("apply", "-f", folder, code=1)
    assert f"scalezero: revision {name}-v1 failed: " in said
    assert reason in said
    assert reason in own.scalezero("status", name, code=1)
    own.scalezero("delete", name)


def test_a_model_whose_first_version_never_came_up_is_mended_by_the_next(own: Namespace, tmp_path: Path) -> None:
    own.scalezero(
        "apply", "-f", model(tmp_path, "late", versions=(1,), split=False, path="s3://models/no.onnx"), code=1
    )
    own.scalezero("apply", "-f", model(tmp_path, "late", versions=(2,), split=False))
    assert shares(own, "late") == {"late-v2": 100}
    own.scalezero("status", "late")
    own.scalezero("delete", "late")


@pytest.mark.usefixtures("shop")  # it uses the same artifact and Secret
def test_what_is_deleted_is_gone_with_its_revisions_and_a_second_time_is_well(own: Namespace, tmp_path: Path) -> None:
    folder = model(tmp_path, "brief", versions=(1,), split=False)
    own.scalezero("apply", "-f", folder)
    kept = own.scalezero("delete", "-f", folder)
    assert f"{ARTIFACT}: kept, still used by shop-v1, shop-v2" in kept
    assert f"secret/{SECRET}: kept" in kept
    kinds = ("Service", "Revision", "Route", "ServiceAccount")
    assert not [each for kind in kinds for each in own.cluster.list(kind) if "brief" in each["metadata"]["name"]]
    assert "service/brief: not found" in own.scalezero("delete", "-f", folder)


def test_a_revision_serves_the_version_of_the_object_that_it_was_deployed_with(own: Namespace, tmp_path: Path) -> None:
    client, bucket = own.s3.client(), f"pinned-{own.name}"
    own.s3.make_bucket(bucket)
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    published = client.get_object(Bucket="models", Key=ARTIFACT.rpartition("/")[2])
    client.put_object(Bucket=bucket, Key="m.onnx", Body=published["Body"].read(), Metadata=published["Metadata"])
    folder = model(tmp_path, "pinned", versions=(1,), split=False, path=f"s3://{bucket}/m.onnx")
    own.scalezero("apply", "-f", folder)

    client.put_object(Bucket=bucket, Key="m.onnx", Body=b"another model", Metadata={"sha256": "0" * 64})
    planned = own.scalezero("plan", "-f", folder, code=2)
    assert published["Metadata"]["sha256"] in planned
    assert "0" * 64 in planned
    own.kubectl("delete", "pod", "--selector", "serving.knative.dev/revision=pinned-v1")
    assert own.cluster.revision_get("pinned-v1", "/healthz/ready", timeout=60).status == HTTPStatus.OK
    own.scalezero("delete", "pinned")


def test_what_kn_made_is_not_deleted(own: Namespace, tmp_path: Path) -> None:
    own.kn("service", "create", "foreign", "--image", image(), "--no-wait")
    said = own.scalezero("delete", "foreign", code=2)
    assert "service/foreign was not created by scalezero" in said
    own.kn("service", "delete", "foreign")


def test_a_revision_at_zero_is_woken_through_the_api_server(own: Namespace, shop: Path) -> None:
    until("shop-v2 is at zero", lambda: own.at_zero("shop-v2"), seconds=120)
    answer = own.cluster.revision_get("shop-v2", "/healthz/ready", timeout=60)
    assert (answer.status, answer.body) == (200, b'{"status":"ready"}')


@pytest.fixture
def accounts(own: Namespace, shop: Path, tmp_path: Path) -> Iterator[dict[str, Path]]:
    """Kubeconfigs of an account with the Roles that `render --role` prints, and of one with nothing."""
    made = {}
    for name in ("deployer", "nobody"):
        own.kubectl("create", "serviceaccount", name)
        made[name] = kubeconfig_of(own, name, tmp_path / name)
    roles = json.loads(own.scalezero("render", "--role", "-f", shop, "-o", "json"))[:2]
    bindings = [binding(own, role) for role in roles]
    for each in (*roles, *bindings):
        own.cluster.within(each["metadata"]["namespace"]).apply(each)
    yield made
    for each in (*bindings, *roles):
        own.cluster.within(each["metadata"]["namespace"]).delete(ref_of(each))
    own.kubectl("delete", "serviceaccount/deployer", "serviceaccount/nobody")


def binding(own: Namespace, role: Manifest) -> Manifest:
    """Give the role to the deployer."""
    metadata = role["metadata"]
    return {
        "apiVersion": role["apiVersion"],
        "kind": "RoleBinding",
        "metadata": {"name": f"{own.name}-{metadata['name']}", "namespace": metadata["namespace"]},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": metadata["name"]},
        "subjects": [{"kind": "ServiceAccount", "name": "deployer", "namespace": own.name}],
    }


def kubeconfig_of(own: Namespace, name: str, file: Path) -> Path:
    config = json.loads(own.kubectl("config", "view", "--raw", "--minify", "-o", "json"))
    config["users"] = [{"name": name, "user": {"token": own.kubectl("create", "token", name).strip()}}]
    config["contexts"][0]["context"]["user"] = name
    file.write_text(json.dumps(config))
    return file


def as_account(own: Namespace, kubeconfig: Path) -> Namespace:
    variables = {**own.variables, "KUBECONFIG": str(kubeconfig)}
    cluster = Cluster(namespace=own.name, environ=variables)
    return Namespace(name=own.name, s3=own.s3, cluster=cluster, variables=variables)


def test_the_roles_that_are_printed_are_all_that_a_deployment_needs(
    own: Namespace, accounts: dict[str, Path], tmp_path: Path
) -> None:
    deployer = as_account(own, accounts["deployer"])
    folder = model(tmp_path, "ruled", split=True)
    deployer.scalezero("apply", "-f", folder)
    assert deployer.scalezero("plan", "-f", folder).splitlines()[-1] == "nothing to do"
    deployer.scalezero("status", "ruled")
    assert deployer.cluster.revision_get("ruled-v1", "/healthz/live", timeout=60).status == HTTPStatus.OK
    deployer.scalezero("delete", "ruled")
    assert own.cluster.get(Ref("Service", "ruled")) is None


def waits_after_restarts(pods: list[dict[str, Any]], count: int) -> bool:
    """Whether a container was restarted so often and waits for the next time."""
    statuses = (each for pod in pods for each in pod.get("status", {}).get("containerStatuses", ()))
    return any(each["restartCount"] >= count and "waiting" in each["state"] for each in statuses)


def test_an_apply_after_the_cause_is_fixed_retries_the_revision_and_judges_its_new_pod(
    own: Namespace, shop: Path, tmp_path: Path
) -> None:
    path = f"s3://models/{own.name}/retried.onnx"
    folder = model(tmp_path / "retried", "retried", versions=(1,), split=False, path=path)
    assert "there is no such object" in own.scalezero("apply", "-f", folder, code=1)
    # The kubelet waits longer after each restart; from the second on it cannot be quicker than the apply.
    until("it waits to be restarted again", lambda: waits_after_restarts(own.pods("retried-v1"), 2), seconds=120)
    published = own.s3.client().get_object(Bucket="models", Key="payment-model-v1.onnx")
    own.s3.put(path, published["Body"].read(), published["Metadata"])
    try:
        began = time.monotonic()
        said = own.scalezero("apply", "-f", folder)
        assert time.monotonic() - began < 30
    finally:
        own.s3.client().delete_object(Bucket="models", Key=path.removeprefix("s3://models/"))
    assert "revision/retried-v1: failed before; retrying with a new pod" in said
    assert shares(own, "retried") == {"retried-v1": 100}


def test_a_missing_right_is_told_with_what_to_ask_for(own: Namespace, accounts: dict[str, Path], shop: Path) -> None:
    nobody = as_account(own, accounts["nobody"])
    said = nobody.scalezero("status", code=2)
    assert f"system:serviceaccount:{own.name}:nobody cannot list services in namespace {own.name}" in said
    assert "ask for a Role with {apiGroups: [serving.knative.dev], resources: [services], verbs: [list]}" in said


def test_a_namespace_that_is_not_there_is_told(own: Namespace, shop: Path) -> None:
    command = [str(SCALEZERO), "apply", "-f", str(shop), "-n", "no-such-place"]
    done = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        2,
        "scalezero: the cluster has no namespace 'no-such-place'; create it: kubectl create namespace no-such-place",
    )
