"""Tests of `plan`, `apply`, `status` and `delete` on a real cluster, and of their errors."""

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
from knative.commands.plan import make_plan, open_project
from knative.deploying.apply import carry_out
from knative.function.configuration import Flags
from knative.objects import Manifest, Ref, ref_of
from runtime.registry import find
from tests.e2e.functions import function_yaml, image
from tests.e2e.load import ANSWER_TIMEOUT
from tests.e2e.namespace import SCALEZERO, SECRET, Namespace, wait_until
from tests.e2e.test_serving import TO_ZERO

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
def shop(
    own: Namespace, deployed: Namespace, tmp_path_factory: pytest.TempPathFactory
) -> Path:  # `deployed` publishes the artifact
    """The deployed model `shop`, with 50 % for each of v1 and v2."""
    folder = model(tmp_path_factory.mktemp("shop"), "shop")
    own.scalezero("apply", "-f", folder)
    return folder


def shares(own: Namespace, name: str = "shop") -> dict[str, int]:
    """Return the actual traffic split."""
    return {each["revisionName"]: each["percent"] for each in own.get("Service", name)["status"]["traffic"]}


def test_after_an_apply_the_plan_is_empty_and_another_apply_changes_nothing(own: Namespace, shop: Path) -> None:
    before = own.get("Service", "shop")["metadata"]["generation"]
    assert own.scalezero("plan", "-f", shop).splitlines()[-1] == "nothing to do"
    own.scalezero("apply", "-f", shop)
    assert own.get("Service", "shop")["metadata"]["generation"] == before


def test_status_reports_the_state_of_knatives_objects(own: Namespace, shop: Path) -> None:
    (status,) = json.loads(own.scalezero("status", "shop", "-o", "json"))
    assert (status["state"], status["url"]) == ("Ready", own.url("shop"))
    assert {each["name"]: each["percent"] for each in status["revisions"]} == {"shop-v1": 50, "shop-v2": 50}
    assert [each["name"] for each in status["splits"]] == ["shop-ab"]


def test_apply_refuses_to_change_traffic_that_kn_has_set_without_force_conflicts(own: Namespace, shop: Path) -> None:
    own.kn("service", "update", "shop", "--traffic", "shop-v1=90", "--traffic", "shop-v2=10")
    output = own.scalezero("apply", "-f", shop, code=2)
    assert "nothing was changed: service/shop: kn has set its traffic since" in output
    assert shares(own) == {"shop-v1": 90, "shop-v2": 10}
    own.scalezero("apply", "-f", shop, "--force-conflicts")
    assert shares(own) == {"shop-v1": 50, "shop-v2": 50}


def test_apply_does_not_overwrite_a_change_that_kn_makes_after_the_plan(own: Namespace, shop: Path) -> None:
    with_v3 = model(shop, "shop", versions=(1, 2, 3))
    try:
        project, cluster = open_project((with_v3,), Flags(namespace=own.name), context=None)
        made = make_plan(project, cluster, find=find, force=False)
        own.kn("service", "update", "shop", "--traffic", "shop-v1=80", "--traffic", "shop-v2=20")
        with pytest.raises(Outrun, match="service/shop changed during the command"):
            carry_out(made.plan, made.observed, cluster, force=False, seconds=60, tell=lambda _: None)
    finally:
        model(shop, "shop")
    assert shares(own) == {"shop-v1": 80, "shop-v2": 20}


def test_without_a_split_a_new_version_gets_only_a_tag_and_the_traffic_stays(own: Namespace, tmp_path: Path) -> None:
    own.scalezero("apply", "-f", model(tmp_path, "lane", split=False))
    own.kn("service", "update", "lane", "--traffic", "lane-v1=30", "--traffic", "lane-v2=70")
    own.scalezero("apply", "-f", model(tmp_path, "lane", versions=(1, 2, 3), split=False))
    assert shares(own, "lane") == {"lane-v1": 30, "lane-v2": 70, "lane-v3": 0}
    assert own.url("lane", "v3")
    own.scalezero("delete", "lane")


@pytest.mark.parametrize("seconds", [1.0, 2.5])
def test_an_apply_that_is_killed_is_completed_by_the_next_one(own: Namespace, tmp_path: Path, seconds: float) -> None:
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
def test_the_reason_of_a_version_that_cannot_start_is_reported(
    own: Namespace, tmp_path: Path, name: str, secret: str, path: str, reason: str
) -> None:
    folder = model(tmp_path, name, versions=(1,), split=False, secret=secret, path=path)
    output = own.scalezero("apply", "-f", folder, code=1)
    assert f"scalezero: revision {name}-v1 failed: " in output
    assert reason in output
    assert reason in own.scalezero("status", name, code=1)
    own.scalezero("delete", name)


def test_a_model_with_a_failed_first_version_is_repaired_by_the_next_one(own: Namespace, tmp_path: Path) -> None:
    own.scalezero(
        "apply", "-f", model(tmp_path, "late", versions=(1,), split=False, path="s3://models/no.onnx"), code=1
    )
    own.scalezero("apply", "-f", model(tmp_path, "late", versions=(2,), split=False))
    assert shares(own, "late") == {"late-v2": 100}
    own.scalezero("status", "late")
    own.scalezero("delete", "late")


@pytest.mark.usefixtures("shop")  # it uses the same artifact and Secret
def test_delete_removes_the_function_with_its_revisions_and_can_be_repeated(own: Namespace, tmp_path: Path) -> None:
    folder = model(tmp_path, "brief", versions=(1,), split=False)
    own.scalezero("apply", "-f", folder)
    kept = own.scalezero("delete", "-f", folder)
    assert f"{ARTIFACT}: kept, still used by shop-v1, shop-v2" in kept
    assert f"secret/{SECRET}: kept" in kept
    kinds = ("Service", "Revision", "Route", "ServiceAccount")
    assert not [each for kind in kinds for each in own.cluster.list(kind) if "brief" in each["metadata"]["name"]]
    assert "service/brief: not found" in own.scalezero("delete", "-f", folder)


def test_a_revision_serves_the_object_version_of_its_deployment(own: Namespace, tmp_path: Path) -> None:
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
    assert own.cluster.revision_get("pinned-v1", "/healthz/ready", timeout=ANSWER_TIMEOUT).status == HTTPStatus.OK
    own.scalezero("delete", "pinned")


def test_delete_refuses_a_service_that_kn_created(own: Namespace, tmp_path: Path) -> None:
    own.kn("service", "create", "foreign", "--image", image(), "--no-wait")
    output = own.scalezero("delete", "foreign", code=2)
    assert "service/foreign was not created by scalezero" in output
    own.kn("service", "delete", "foreign")


def test_a_request_through_the_api_server_starts_a_revision_at_zero(own: Namespace, shop: Path) -> None:
    wait_until("shop-v2 is at zero", lambda: own.is_at_zero("shop-v2"), seconds=TO_ZERO)
    answer = own.cluster.revision_get("shop-v2", "/healthz/ready", timeout=ANSWER_TIMEOUT)
    assert (answer.status, answer.body) == (200, b'{"status":"ready"}')


@pytest.fixture
def accounts(own: Namespace, shop: Path, tmp_path: Path) -> Iterator[dict[str, Path]]:
    """Kubeconfigs of an account with the Roles of `render --role`, and of an account without permissions."""
    made = {}
    for name in ("deployer", "nobody"):
        own.kubectl("create", "serviceaccount", name)
        made[name] = kubeconfig_of(own, name, tmp_path / name)
    roles = json.loads(own.scalezero("render", "--role", "-f", shop, "-o", "json"))[:2]
    bindings = [binding(own, role) for role in roles]
    for each in (*roles, *bindings):
        own.cluster.in_namespace(each["metadata"]["namespace"]).apply(each)
    yield made
    for each in (*bindings, *roles):
        own.cluster.in_namespace(each["metadata"]["namespace"]).delete(ref_of(each))
    own.kubectl("delete", "serviceaccount/deployer", "serviceaccount/nobody")


def binding(own: Namespace, role: Manifest) -> Manifest:
    """Return a RoleBinding of the role to the deployer."""
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


def test_the_printed_roles_are_sufficient_for_a_deployment(
    own: Namespace, accounts: dict[str, Path], tmp_path: Path
) -> None:
    deployer = as_account(own, accounts["deployer"])
    folder = model(tmp_path, "ruled", split=True)
    deployer.scalezero("apply", "-f", folder)
    assert deployer.scalezero("plan", "-f", folder).splitlines()[-1] == "nothing to do"
    deployer.scalezero("status", "ruled")
    assert deployer.cluster.revision_get("ruled-v1", "/healthz/live", timeout=ANSWER_TIMEOUT).status == HTTPStatus.OK
    deployer.scalezero("delete", "ruled")
    assert own.cluster.get(Ref("Service", "ruled")) is None


def is_waiting_after_restarts(pods: list[dict[str, Any]], count: int) -> bool:
    """Whether a container was restarted at least `count` times and waits for the next restart."""
    statuses = (each for pod in pods for each in pod.get("status", {}).get("containerStatuses", ()))
    return any(each["restartCount"] >= count and "waiting" in each["state"] for each in statuses)


def test_an_apply_after_the_cause_is_fixed_retries_the_revision_with_a_new_pod(
    own: Namespace, shop: Path, tmp_path: Path
) -> None:
    path = f"s3://models/{own.name}/retried.onnx"
    folder = model(tmp_path / "retried", "retried", versions=(1,), split=False, path=path)
    assert "there is no such object" in own.scalezero("apply", "-f", folder, code=1)
    # The kubelet waits longer after each restart. After the second restart, its wait is longer than the apply.
    wait_until(
        "the container waits for its next restart",
        lambda: is_waiting_after_restarts(own.pods("retried-v1"), 2),
        seconds=180,
    )
    waiting = pod_names(own, "retried-v1")
    published = own.s3.client().get_object(Bucket="models", Key="payment-model-v1.onnx")
    own.s3.put(path, published["Body"].read(), published["Metadata"])
    try:
        output = own.scalezero("apply", "-f", folder)
    finally:
        own.s3.client().delete_object(Bucket="models", Key=path.removeprefix("s3://models/"))
    assert "revision/retried-v1: failed before; retrying with a new pod" in output
    assert shares(own, "retried") == {"retried-v1": 100}
    assert not waiting & pod_names(own, "retried-v1")  # it did not wait for the next restart


def pod_names(own: Namespace, revision: str) -> set[str]:
    return {each["metadata"]["name"] for each in own.pods(revision)}


def test_the_error_for_a_missing_permission_has_the_role_to_request(
    own: Namespace, accounts: dict[str, Path], shop: Path
) -> None:
    nobody = as_account(own, accounts["nobody"])
    output = nobody.scalezero("status", code=2)
    assert f"system:serviceaccount:{own.name}:nobody cannot list services in namespace {own.name}" in output
    assert "ask for a Role with {apiGroups: [serving.knative.dev], resources: [services], verbs: [list]}" in output


def test_the_error_for_a_missing_namespace_has_the_command_that_creates_it(own: Namespace, shop: Path) -> None:
    command = [str(SCALEZERO), "apply", "-f", str(shop), "-n", "no-such-place"]
    done = subprocess.run(command, env=dict(os.environ), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (
        2,
        "scalezero: the cluster has no namespace 'no-such-place'; create it: kubectl create namespace no-such-place",
    )
