"""Tests of faults of a deployed model, and of their effect on its callers."""

import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.e2e.functions import payment_model
from tests.e2e.load import PATH, client, load, rows, send_requests
from tests.e2e.namespace import CommandFailed, Namespace, wait_until
from tests.e2e.test_serving import TO_ZERO, V1, V2
from tests.runtime.faulty_s3 import FaultyS3
from tests.runtime.frontends.conftest import free_port

V3 = "payment-model-v3"
THIRD = """
---
apiVersion: ml.example.com/v1
kind: ModelVersion
metadata: {{name: payment-model-v3}}
spec: {{modelName: payment-model, version: "3.0.0", format: onnx, storage: {{type: s3, path: "{path}"}}}}
"""
CALLERS = 4
SETTLE_SECONDS = 5.0  # the duration of the load before and after a fault


class Registry:
    """A proxy between the pods and the S3 server. It can be closed, and opened again at the same address."""

    def __init__(self, upstream: str) -> None:
        """Raises `OSError` if this machine does not have the address of the S3 server."""
        self._upstream = upstream
        self._host = str(urlsplit(upstream).hostname)
        self._port = free_port(self._host)
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
        proxy = Registry(own.s3.endpoint_url)
    except OSError as error:
        pytest.skip(f"the S3 server is on another machine than these tests: {error}")
    proxy.open()
    yield proxy
    proxy.close()


@pytest.fixture(scope="module")
def folder(
    own: Namespace, deployed: Namespace, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:  # `deployed` publishes the artifacts
    """The function, with a separate artifact for v2, which a test deletes."""
    copy(own, "payment-model-v2.onnx", second(own))
    artifact = {"s3://models/payment-model-v2.onnx": second(own)}
    yield payment_model(tmp_path_factory.mktemp("faults"), model=artifact)
    for key in (f"{own.name}/payment-model-v2.onnx", f"{own.name}/payment-model-v3.onnx"):
        own.s3.client().delete_object(Bucket="models", Key=key)


def second(own: Namespace) -> str:
    return f"s3://models/{own.name}/payment-model-v2.onnx"


def copy(own: Namespace, key: str, uri: str, *, without: int = 0) -> None:
    """Copy a published model with its digest. `without` is the number of last bytes to cut off, to corrupt it."""
    published = own.s3.client().get_object(Bucket="models", Key=key)
    body = published["Body"].read()
    own.s3.put(uri, body[: len(body) - without], published["Metadata"])


@pytest.fixture(scope="module")
def model(own: Namespace, registry: Registry, folder: Path) -> Namespace:
    own.scalezero("deploy", folder, "--s3-endpoint", registry.endpoint)
    return own


def process_of(pod: str) -> int | None:
    """Return the id of the server process in the pod, or None if it is not on this machine."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            environment = (entry / "environ").read_bytes().split(b"\0")
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if f"HOSTNAME={pod}".encode() in environment and b"scalezero" in command:
            return int(entry.name)
    return None


def test_a_corrupt_artifact_gets_no_traffic_and_its_reason_is_reported(
    model: Namespace, registry: Registry, folder: Path
) -> None:
    """The earlier revisions continue to serve. The condition and `status` have the reason of the runtime."""
    path = f"s3://models/{model.name}/payment-model-v3.onnx"
    copy(model, "payment-model-v1.onnx", path, without=100)
    manifest = folder / "model.yaml"
    manifest.write_text(manifest.read_text() + THIRD.format(path=path))
    with load(model.url("payment-model"), callers=CALLERS) as tally:
        output = model.scalezero("apply", "-f", folder, "--s3-endpoint", registry.endpoint, code=1)
    assert "SHA-256" in output
    wait_until("its condition has the reason", lambda: "SHA-256" in failure_message(model, V3), seconds=120)
    status = model.scalezero("status", "payment-model")
    assert V3 in status
    assert "SHA-256" in status
    assert tally.failures == []
    assert set(tally.by_revision()) == {V1, V2}


def failure_message(model: Namespace, revision: str) -> str:
    """Return the message of the revision's Ready condition if it is False, otherwise an empty text."""
    condition = model.condition("Revision", revision, "Ready")
    return condition.get("message", "") if condition.get("status") == "False" else ""


def test_no_request_fails_if_a_pod_is_deleted_under_load(model: Namespace) -> None:
    """The pod finishes its requests. New requests wait for its replacement."""
    with load(model.url("payment-model", "v1"), callers=CALLERS) as tally:
        (pod,) = wait_until("a pod is ready", lambda: model.ready_pods(V1), seconds=120)
        time.sleep(SETTLE_SECONDS)
        model.kubectl("delete", "pod", pod, "--wait=false")
        wait_until("another pod is ready", lambda: model.ready_pods(V1) not in ([], [pod]), seconds=120)
        time.sleep(SETTLE_SECONDS)
    assert tally.failures == []


def test_a_process_that_is_killed_under_load_is_restarted(model: Namespace) -> None:
    """Requests may fail until the container has restarted, because queue-proxy cannot reach it. Later ones must not."""
    with load(model.url("payment-model", "v1"), callers=CALLERS) as tally:
        (pod,) = wait_until("one pod is ready", lambda: model.ready_pods(V1), seconds=120)
        time.sleep(SETTLE_SECONDS)
        process = process_of(pod)
        if process is None:
            pytest.skip("the pods run on another machine than these tests")
        killed = time.monotonic()
        os.kill(process, signal.SIGKILL)
        wait_until("the pod is ready again", lambda: restarted(model, pod), seconds=120)
        ready = time.monotonic()
        time.sleep(SETTLE_SECONDS)
    assert [each for each in tally.failures if not killed - 1 < each[0] < ready] == []
    assert len(tally.since(ready).answers) > CALLERS


def readiness_of_pods(model: Namespace, revision: str) -> str:
    """Return the answers of /healthz/ready of the revision's pods."""
    names = [pod["metadata"]["name"] for pod in model.pods(revision)]
    return "".join(model.cluster.pod_get(name, "/healthz/ready", timeout=5).body.decode() for name in names)


def restarted(model: Namespace, name: str) -> bool:
    statuses = [each for pod in model.pods(V1) for each in pod["status"].get("containerStatuses", [])]
    return model.ready_pods(V1) == [name] and any(each["restartCount"] and each["ready"] for each in statuses)


def test_a_request_during_an_outage_of_s3_is_answered_after_the_outage(model: Namespace, registry: Registry) -> None:
    wait_until("v2 is at zero", lambda: model.is_at_zero(V2), seconds=TO_ZERO)
    url = model.url("payment-model", "v2")
    registry.close()
    try:
        with ThreadPoolExecutor(1) as other, client(timeout=300) as session:
            waiting = other.submit(session.post, url + PATH, content=rows(1))
            wait_until(
                "the pod reports the reason", lambda: "store_unreachable" in readiness_of_pods(model, V2), seconds=120
            )
            assert not waiting.done()
            registry.open()
            answer = waiting.result()
    finally:
        registry.close()
        registry.open()
    assert answer.status_code == 200
    assert answer.headers["x-revision"] == V2
    assert send_requests(url, 20).failures == []


def test_a_request_while_the_artifact_is_missing_is_answered_after_it_is_restored(model: Namespace) -> None:
    """The process exits with the reason, because a retry would not help. The kubelet restarts it with a backoff."""
    wait_until("v2 is at zero", lambda: model.is_at_zero(V2), seconds=TO_ZERO)
    url = model.url("payment-model", "v2")
    model.s3.client().delete_object(Bucket="models", Key=second(model).removeprefix("s3://models/"))
    try:
        with ThreadPoolExecutor(1) as other, client(timeout=300) as session:
            waiting = other.submit(session.post, url + PATH, content=rows(1))
            wait_until(
                "a container has exited",
                lambda: "there is no such object" in termination_messages(model, V2),
                seconds=180,
            )
            wait_until(
                "status reports the reason", lambda: "there is no such object" in failed_status(model), seconds=120
            )
            copy(model, "payment-model-v2.onnx", second(model))
            answer = waiting.result()
    finally:
        copy(model, "payment-model-v2.onnx", second(model))
    assert answer.status_code == 200
    assert send_requests(url, 20).failures == []
    assert model.condition("Revision", V2, "Ready")["status"] == "True"
    wait_until(
        "the Route is Ready again",
        lambda: model.condition("Route", "payment-model", "Ready")["status"] == "True",
        seconds=180,
    )


def failed_status(model: Namespace) -> str:
    """Return the output of `status` if it reports a failure. It reports none while the container runs again."""
    try:
        return model.scalezero("status", code=1)
    except CommandFailed:
        return ""


def termination_messages(model: Namespace, revision: str) -> str:
    """Return the termination messages of the revision's containers."""
    messages = [
        status["lastState"].get("terminated", {}).get("message", "")
        for pod in model.pods(revision)
        for status in pod["status"].get("containerStatuses", [])
    ]
    return " ".join(messages)
