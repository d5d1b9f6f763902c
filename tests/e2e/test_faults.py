"""What breaks in the life of a deployed model, and what its callers see of it."""

import os
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.e2e.functions import payment_model
from tests.e2e.load import PATH, asked, client, load, rows
from tests.e2e.namespace import Namespace, Refused, until
from tests.e2e.test_serving import TO_ZERO, V1, V2
from tests.runtime.faulty_s3 import FaultyS3

V3 = "payment-model-v3"
THIRD = """
---
apiVersion: ml.example.com/v1
kind: ModelVersion
metadata: {{name: payment-model-v3}}
spec: {{modelName: payment-model, version: "3.0.0", format: onnx, storage: {{type: s3, path: "{path}"}}}}
"""
CALLERS = 4
A_WHILE = 5.0  # seconds under load before and after a fault
OUTAGE = 5.0  # seconds: a container that was killed is started again at once, and the first requests may precede it


class Registry:
    """The way to the S3 server that the pods take: it can be closed, and opened again at the same address."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._host = str(urlsplit(upstream).hostname)
        with socket.create_server((self._host, 0)) as probe:  # OSError: it is no address of this machine
            self._port: int = probe.getsockname()[1]
        self.endpoint = f"http://{self._host}:{self._port}"
        self._open: FaultyS3 | None = None

    def open(self) -> None:
        self._open = FaultyS3(self._upstream, host=self._host, port=self._port).__enter__()

    def close(self) -> None:
        if self._open:
            self._open.__exit__(None, None, None)
            self._open = None


@pytest.fixture(scope="module")
def registry(own: Namespace) -> Iterator[Registry]:
    try:
        way = Registry(own.s3.endpoint_url)
    except OSError as error:
        pytest.skip(f"the S3 server is on another machine than these tests: {error}")
    way.open()
    yield way
    way.close()


@pytest.fixture(scope="module")
def folder(
    own: Namespace, deployed: Namespace, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:  # published by then
    """The function, v2 of which has an artifact of its own: a test takes it away."""
    copy(own, "payment-model-v2.onnx", second(own))
    artifact = {"s3://models/payment-model-v2.onnx": second(own)}
    yield payment_model(tmp_path_factory.mktemp("faults"), model=artifact)
    for key in (f"{own.name}/payment-model-v2.onnx", f"{own.name}/payment-model-v3.onnx"):
        own.s3.client().delete_object(Bucket="models", Key=key)


def second(own: Namespace) -> str:
    return f"s3://models/{own.name}/payment-model-v2.onnx"


def copy(own: Namespace, key: str, uri: str, *, without: int = 0) -> None:
    """Put a published model there as well, with its digest; `without` its last bytes it is corrupt."""
    whole = own.s3.client().get_object(Bucket="models", Key=key)
    body = whole["Body"].read()
    own.s3.put(uri, body[: len(body) - without], whole["Metadata"])


@pytest.fixture(scope="module")
def model(own: Namespace, registry: Registry, folder: Path) -> Namespace:
    own.scalezero("deploy", folder, "--s3-endpoint", registry.endpoint)
    return own


def process_of(pod: str) -> int | None:
    """The process that serves in the pod, if it runs on this machine."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            environment = (entry / "environ").read_bytes().split(b"\0")
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if f"HOSTNAME={pod}".encode() in environment and b"scalezero" in command:
            return int(entry.name)
    return None


def test_a_corrupt_artifact_stays_out_and_says_why(model: Namespace, registry: Registry, folder: Path) -> None:
    """It gets no traffic, the revisions before serve on, and its condition and `status` have the runtime's reason."""
    path = f"s3://models/{model.name}/payment-model-v3.onnx"
    copy(model, "payment-model-v1.onnx", path, without=100)
    manifest = folder / "model.yaml"
    manifest.write_text(manifest.read_text() + THIRD.format(path=path))
    with load(model.url("payment-model"), callers=CALLERS) as tally:
        said = model.scalezero("apply", "-f", folder, "--s3-endpoint", registry.endpoint, code=1)
    assert "SHA-256" in said
    until("its condition says why", lambda: "SHA-256" in why(model, V3), seconds=60)
    status = model.scalezero("status", "payment-model")
    assert V3 in status
    assert "SHA-256" in status
    assert tally.failures == []
    assert set(tally.by_revision()) == {V1, V2}


def why(model: Namespace, revision: str) -> str:
    """What Knative says against the revision."""
    condition = model.condition("Revision", revision, "Ready")
    return condition.get("message", "") if condition.get("status") == "False" else ""


def test_a_pod_that_is_deleted_under_load_costs_no_request(model: Namespace) -> None:
    """It finishes what it has, another one takes its place, and what comes meanwhile waits for that."""
    with load(model.url("payment-model", "v1"), callers=CALLERS) as tally:
        (pod,) = until("a pod serves", lambda: serving(model), seconds=60)
        time.sleep(A_WHILE)
        model.kubectl("delete", "pod", pod, "--wait=false")
        until("another one serves", lambda: serving(model) not in ([], [pod]), seconds=60)
        time.sleep(A_WHILE)
    assert tally.failures == []


def test_a_process_that_is_killed_under_load_is_back_by_itself(model: Namespace) -> None:
    """What reaches the pod until it is back may fail, as queue-proxy has nobody to ask; nothing after that."""
    with load(model.url("payment-model", "v1"), callers=CALLERS) as tally:
        (pod,) = until("one pod serves", lambda: serving(model), seconds=60)
        time.sleep(A_WHILE)
        process = process_of(pod)
        if process is None:
            pytest.skip("the pods run on another machine than these tests")
        killed = time.monotonic()
        os.kill(process, signal.SIGKILL)
        until("it serves again", lambda: restarted(model, pod), seconds=60)
        time.sleep(A_WHILE + OUTAGE)
    assert [each for each in tally.failures if not killed - 1 < each[0] < killed + OUTAGE] == []
    assert len(tally.since(killed + OUTAGE).answers) > CALLERS


def pods_say(model: Namespace, revision: str) -> str:
    """What the runtime in the pods says of its readiness."""
    names = [pod["metadata"]["name"] for pod in model.pods(revision)]
    return "".join(model.cluster.pod_get(name, "/healthz/ready", timeout=5).body.decode() for name in names)


def serving(model: Namespace) -> list[str]:
    """The pods of v1 that are ready and not on their way out."""
    return [
        pod["metadata"]["name"]
        for pod in model.pods(V1)
        if any(each["type"] == "Ready" and each["status"] == "True" for each in pod["status"].get("conditions", []))
    ]


def restarted(model: Namespace, name: str) -> bool:
    statuses = [each for pod in model.pods(V1) for each in pod["status"].get("containerStatuses", [])]
    return serving(model) == [name] and any(each["restartCount"] and each["ready"] for each in statuses)


def test_a_request_that_came_while_s3_was_gone_is_answered_when_it_is_back(
    model: Namespace, registry: Registry
) -> None:
    until("v2 is at zero", lambda: model.at_zero(V2), seconds=TO_ZERO)
    url = model.url("payment-model", "v2")
    registry.close()
    try:
        with ThreadPoolExecutor(1) as other, client(patience=120) as session:
            waiting = other.submit(session.post, url + PATH, content=rows(1))
            until("the pod says why", lambda: "store_unreachable" in pods_say(model, V2), seconds=60)
            assert not waiting.done()
            registry.open()
            answer = waiting.result()
    finally:
        registry.close()
        registry.open()
    assert answer.status_code == 200
    assert answer.headers["x-revision"] == V2
    assert asked(url, 20).failures == []


def test_a_request_that_came_while_the_artifact_was_gone_is_answered_when_it_is_back(model: Namespace) -> None:
    """No retry would bring it, so the process ends and says why; the kubelet starts it again, each time later."""
    until("v2 is at zero", lambda: model.at_zero(V2), seconds=TO_ZERO)
    url = model.url("payment-model", "v2")
    model.s3.client().delete_object(Bucket="models", Key=second(model).removeprefix("s3://models/"))
    try:
        with ThreadPoolExecutor(1) as other, client(patience=120) as session:
            waiting = other.submit(session.post, url + PATH, content=rows(1))
            until("a pod has ended", lambda: "there is no such object" in last_words(model, V2), seconds=60)
            until("status says why", lambda: "there is no such object" in failed_status(model), seconds=60)
            copy(model, "payment-model-v2.onnx", second(model))
            answer = waiting.result()
    finally:
        copy(model, "payment-model-v2.onnx", second(model))
    assert answer.status_code == 200
    assert asked(url, 20).failures == []
    assert model.condition("Revision", V2, "Ready")["status"] == "True"
    assert model.condition("Route", "payment-model", "Ready")["status"] == "True"


def failed_status(model: Namespace) -> str:
    """What `status` says where it finds a fault: not while the container runs once more, and may yet come up."""
    try:
        return model.scalezero("status", code=1)
    except Refused:
        return ""


def last_words(model: Namespace, revision: str) -> str:
    """What the containers of the revision left behind when they ended."""
    ended = [
        status["lastState"].get("terminated", {}).get("message", "")
        for pod in model.pods(revision)
        for status in pod["status"].get("containerStatuses", [])
    ]
    return " ".join(ended)
