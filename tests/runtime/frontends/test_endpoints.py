"""The API over a real socket: all statuses and the contents of their responses."""

import asyncio
import json
import os
import re
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from runtime.variants.cpu_class import cpu_class
from tests import models
from tests.runtime.faulty_s3 import Fault, FaultyS3
from tests.runtime.frontends.conftest import Served, error_of, serving, until
from tests.s3_server import S3Server
from tests.waiting import DEADLINE, eventually

PATH = "/api/v1/models/m/predict"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A fast model: y = 2 x, with two numbers per row."""
    folder = tmp_path_factory.mktemp("served")
    path = models.doubling(folder / "m.onnx")
    with serving(
        folder, path, K_REVISION="m-00001", SCALEZERO_MAX_BODY_BYTES="100000", SCALEZERO_BATCH_SIZE="8"
    ) as served:
        yield served


def test_a_response_names_the_model_version_and_revision(served: Served) -> None:
    response = served.predict([1, 2])
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-revision"] == "m-00001"
    document = response.json()
    assert document.pop("latency_ms") > 0
    assert document == {"model_name": "m", "model_version": "1", "outputs": [2, 4]}


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [
        ([[1, 2]], [[2, 4]]),
        ({"x": [1, 2]}, {"y": [2, 4]}),
        ([[number, -number] for number in range(21)], [[2 * number, -2 * number] for number in range(21)]),
        ([1, None], [2, None]),
    ],
)
def test_the_outputs_have_the_form_of_the_inputs(served: Served, inputs: object, outputs: object) -> None:
    assert served.predict(inputs).json()["outputs"] == outputs


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"", "body"),
        (b"not json", "body"),
        (b"\xff\xfe\x00", "body"),
        (b'{"inputs":[NaN,1]}', "body"),
        (b'{"inputs":' + b"[" * 2000 + b"]" * 2000 + b"}", "body"),
        (b'{"inputs":' + b"[" * 1000 + b"]" * 1000 + b"}", "inputs"),
        (b'{"inputs":[' + b'{"a":' * 400 + b"1" + b"}" * 400 + b"]}", "inputs[0].a"),
        (b"[1,2]", "body"),
        (b'{"inputs":[1,2,3]}', "inputs.x"),
        (b'{"inputs":[1,"2"]}', "inputs[1]"),
        (b'{"inputs":[[1,2],[3]]}', "inputs[1]"),
        (b'{"inputs":{"z":[1,2]}}', "inputs.z"),
        (b'{"inputs":[1,2],"more":1}', "more"),
    ],
)
def test_a_bad_body_is_400_and_names_the_field(served: Served, body: bytes, field: str) -> None:
    with served.client() as client:
        error = error_of(client.post(PATH, content=body), 400)
    assert error["code"] == "invalid_input"
    assert error["details"]["field"] == field
    assert {"got", "expected"} <= set(error["details"])


def test_an_unknown_model_is_404_and_lists_the_served_models(served: Served) -> None:
    for response in (served.predict([1, 2], model="n"), served.get("/api/v1/models/n")):
        error = error_of(response, 404)
        assert error["code"] == "model_not_found"
        assert error["details"] == {"model": "n", "served": ["m"]}
        assert response.headers["x-revision"] == "m-00001"


@pytest.mark.parametrize("path", ["/nothing", "/api/v1/models/m/predict/", "/api/v1/models//predict", "/%2e%2e"])
def test_an_unknown_path_is_404(served: Served, path: str) -> None:
    assert error_of(served.get(path), 404)["code"] == "path_not_found"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", PATH, "POST"),
        ("DELETE", PATH, "POST"),
        ("POST", "/healthz/live", "GET, HEAD"),
        ("PUT", "/metrics", "GET, HEAD"),
    ],
)
def test_a_wrong_method_is_405_and_lists_the_allowed_methods(
    served: Served, method: str, path: str, allowed: str
) -> None:
    with served.client() as client:
        response = client.request(method, path)
    assert error_of(response, 405)["code"] == "method_not_allowed"
    assert response.headers["allow"] == allowed


def test_head_is_answered_like_get_without_the_body(served: Served) -> None:
    with served.client() as client:
        response = client.head("/healthz/live")
        assert (response.status_code, response.content) == (200, b"")
        assert response.headers["content-length"] == str(len(client.get("/healthz/live").content))


def test_a_content_length_above_the_limit_is_413(served: Served) -> None:
    with served.client() as client:
        error = error_of(client.post(PATH, content=b" " * 100_001), 413)
    assert error["code"] == "payload_too_large"
    assert error["details"] == {"limit": 100_000, "unit": "bytes", "got": 100_001}


def test_a_chunked_body_above_the_limit_is_413(served: Served) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(11):
            yield b" " * 10_000

    with served.client() as client:
        error = error_of(client.post(PATH, content=pieces()), 413)
    assert error["details"] == {"limit": 100_000, "unit": "bytes"}


def test_a_chunked_body_within_the_limit_is_answered(served: Served) -> None:
    with served.client() as client:
        response = client.post(PATH, content=iter([b'{"inp', b'uts":[1,', b"2]}"]))
    assert response.json()["outputs"] == [2, 4]


def test_a_request_of_many_batches_is_answered_in_order(tmp_path: Path) -> None:
    settings = {"SCALEZERO_BATCH_SIZE": "2", "SCALEZERO_QUEUE_SIZE": "2"}
    with serving(tmp_path, models.doubling(tmp_path / "m.onnx"), env=settings) as served:
        response = served.predict([[row, 0] for row in range(101)])
        assert response.json()["outputs"] == [[2.0 * row, 0.0] for row in range(101)]


async def raw(served: Served, inputs: object, model: str = "m") -> tuple[int, Any]:
    """Send one request over its own connection, without the overhead of a client. Return the status and document."""
    body = json.dumps({"inputs": inputs}).encode()
    head = (
        f"POST /api/v1/models/{model}/predict HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {len(body)}"
    )
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
    writer.write(head.encode() + b"\r\n\r\n" + body)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    start, _, document = answer.partition(b"\r\n\r\n")
    return int(start.split()[1]), json.loads(document)


def test_a_thousand_concurrent_clients_get_their_own_rows(served: Served) -> None:
    async def caller(number: int) -> None:
        rows = [[number, -row] for row in range(1 + number % 8)]
        status, document = await raw(served, rows)
        assert status == 200, document
        assert document["outputs"] == [[2 * a, 2 * b] for a, b in rows]

    async def everyone() -> None:
        await asyncio.gather(*map(caller, range(1000)))

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    try:
        asyncio.run(everyone())
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_server_timing_has_the_phases_of_a_prediction(served: Served) -> None:
    served.predict([1, 2])
    timing = timings(served.predict([1, 2]))
    assert set(timing) == {"queue", "batch", "run"}
    assert all(0 <= each < 1000 for each in timing.values())


def timings(response: httpx.Response) -> dict[str, float]:
    """Return the header's metrics, in milliseconds (W3C Server Timing)."""
    header = response.headers["server-timing"]
    parts = [re.fullmatch(r"(\w+);dur=([\d.]+)", each) for each in header.split(", ")]
    assert all(parts), header
    return {each[1]: float(each[2]) for each in parts if each}


def test_the_response_has_the_request_id_of_the_client(served: Served) -> None:
    assert served.predict([1, 2], **{"x-request-id": "abc-1"}).headers["x-request-id"] == "abc-1"
    assert served.predict([1], **{"x-request-id": "abc-2"}).headers["x-request-id"] == "abc-2"
    assert "x-request-id" not in served.predict([1, 2]).headers


def test_the_models_are_listed_and_described(served: Served) -> None:
    assert served.get("/api/v1/models").json() == {"models": [{"name": "m", "version": "1", "state": "ready"}]}
    described = served.get("/api/v1/models/m").json()
    assert described["inputs"] == [{"name": "x", "kind": "tensor", "datatype": "float32", "shape": ["batch", 2]}]
    assert described["outputs"] == [{"name": "y", "kind": "tensor", "datatype": "float32", "shape": ["batch", 2]}]
    assert described["revision"] == "m-00001"
    assert described["uri"] == "m.onnx"  # clients do not get its folder
    assert described["serving"] == {
        "cpu_class": cpu_class(),
        "variant": "original",
        "provider": "CPUExecutionProvider",
        "prepared": False,
    }
    batching = described["batching"]
    assert (batching.pop("state"), batching.pop("batchable")) in {("unproven", False), ("proven", True)}
    assert batching.pop("reason")
    assert batching == {
        "batch_size": 8,
        "max_wait_seconds": 0.1,
        "timeout_seconds": 30.0,
    }


def test_probes_answer(served: Served) -> None:
    assert served.get("/healthz/live").json() == {"status": "live"}
    assert served.get("/healthz/ready").json() == {"status": "ready"}


def test_metrics_count_the_answered_requests(served: Served) -> None:
    def answered() -> float:
        families = text_string_to_metric_families(served.get("/metrics").text)
        return sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == "scalezero_request_seconds_count" and sample.labels["code"] == "ok"
        )

    before = answered()
    for _ in range(5):
        served.predict([1, 2])
    assert answered() == before + 5


def test_the_server_survives_invalid_bytes(served: Served) -> None:
    for garbage in (
        b"\x00\xff" * 100,
        b"GET\r\n\r\n",
        b"POST / HTTP/9.9\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nxx",
        b"\x16\x03\x01",
    ):
        with socket.create_connection(("127.0.0.1", served.port), DEADLINE) as raw:
            raw.sendall(garbage)
            raw.shutdown(socket.SHUT_WR)
            raw.settimeout(DEADLINE)
            try:
                while raw.recv(4096):
                    pass
            except ConnectionResetError:
                pass
    assert served.predict([1, 2]).status_code == 200


def test_the_server_survives_a_client_that_disconnects_within_its_body(served: Served) -> None:
    with socket.create_connection(("127.0.0.1", served.port), DEADLINE) as raw:
        raw.sendall(f"POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: 50\r\n\r\n{{".encode())
    assert served.predict([1, 2]).status_code == 200


# A model that cannot be loaded at first.


@pytest.fixture(scope="module")
def bucket(s3: S3Server) -> str:
    """The URI of this module's bucket."""
    s3.make_bucket("endpoints")
    return "s3://endpoints"


@pytest.fixture
def onnx(tmp_path: Path) -> bytes:
    """The bytes of the fast model."""
    return models.doubling(tmp_path / "source.onnx").read_bytes()


def test_a_missing_object_is_503_with_the_reason_until_it_exists(
    s3: S3Server, bucket: str, tmp_path: Path, onnx: bytes
) -> None:
    uri = f"{bucket}/late/m.onnx"
    with serving(tmp_path, uri, "--lazy", env=s3.environment()) as served:  # a lazy model is ready before it is loaded
        assert served.get("/api/v1/models/m").json()["state"] == "not_loaded"
        error = error_of(served.predict([1, 2]), 503)
        assert error["code"] == "artifact_missing"
        assert error["details"]["uri"] == uri
        described = served.get("/api/v1/models/m").json()
        assert (described["state"], described["error"]["code"]) == ("failed", "artifact_missing")
        s3.put(uri, onnx, {"version": "3.1.0", "sha256": sha256(onnx).hexdigest()})
        response = served.predict([1, 2])
        assert response.json()["outputs"] == [2, 4]
        assert response.json()["model_version"] == "3.1.0"
        described = served.get("/api/v1/models/m").json()
        assert (described["state"], described["sha256"]) == ("ready", sha256(onnx).hexdigest())
        metrics = served.get("/metrics").text
        assert re.search(r'load_failures_total\{[^}]*reason="artifact_missing"[^}]*\} 1\.0', metrics)


def test_a_failed_prefetched_model_is_not_ready_and_is_retried(
    s3: S3Server, bucket: str, tmp_path: Path, onnx: bytes
) -> None:
    uri = f"{bucket}/prefetched/m.onnx"
    with serving(tmp_path, uri, ready=False, env=s3.environment()) as served:
        until(served, "/healthz/ready", status=503)
        assert served.get("/healthz/live").status_code == 200
        eventually(lambda: served.get("/healthz/ready").json()["models"]["m"]["code"] == "artifact_missing")
        s3.put(uri, onnx)
        until(served, "/healthz/ready")
        assert served.predict([1, 2]).json()["outputs"] == [2, 4]


@pytest.mark.parametrize(
    ("content", "settings", "code"),
    [
        (b"<html>not onnx</html>", {}, "invalid_model"),
        (b"", {}, "invalid_model"),
        (None, {"SCALEZERO_MODEL_SHA256": "0" * 64}, "digest_mismatch"),
        (None, {"AWS_SECRET_ACCESS_KEY": "wrong"}, "credentials_missing"),
        (None, {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "SCALEZERO_LOAD_TIMEOUT": "2s"}, "store_unreachable"),
    ],
)
def test_a_model_that_cannot_be_loaded_is_503_with_the_reason(
    s3: S3Server, bucket: str, tmp_path: Path, onnx: bytes, content: bytes | None, settings: dict[str, str], code: str
) -> None:
    uri = f"{bucket}/bad/m.onnx"
    s3.put(uri, onnx if content is None else content)
    with serving(tmp_path, uri, "--lazy", env={**s3.environment(), **settings}) as served:
        error = error_of(served.predict([1, 2]), 503)
        assert error["code"] == code
        assert uri in error["message"]


@pytest.mark.parametrize("lazy", [True, False])
def test_server_timing_of_a_cold_start_adds_up_to_the_clients_latency(
    s3: S3Server,
    bucket: str,
    tmp_path: Path,
    onnx: bytes,
    lazy: bool,  # noqa: FBT001 - a parameter of the table
) -> None:
    """Except for less than half, which the server cannot measure: the spawn, the client's polling, the network.

    The store takes 2 s, so that these parts are less than half on a busy machine too.
    """
    uri = f"{bucket}/cold/m.onnx"
    s3.put(uri, onnx)
    options = ["--lazy"] if lazy else []
    with ExitStack() as stack:
        slow = stack.enter_context(FaultyS3(s3.endpoint_url))
        slow.add(Fault(path="m.onnx", before=lambda: time.sleep(2), times=1))
        env = {**s3.environment(), "AWS_ENDPOINT_URL": slow.endpoint_url}
        spawned = time.perf_counter()
        served = stack.enter_context(serving(tmp_path, uri, *options, ready=False, env=env))
        client = stack.enter_context(served.client())
        if lazy:
            time.sleep(1.5)  # long after the start: this request waits only for the load
        began = time.perf_counter() if lazy else spawned
        response = client.post(PATH, json={"inputs": [1, 2]})
        latency = (time.perf_counter() - began) * 1e3
        assert response.status_code == 200, response.text
        timing = timings(response)
        assert set(timing) >= {"pull", "session", "warmup", "queue", "batch", "run"}
        tick = 1e3 / os.sysconf("SC_CLK_TCK")  # ms; the kernel rounds the start of a process down
        assert latency / 2 < sum(timing.values()) < latency + tick, timing
        assert ("import" in timing) is not lazy
        assert set(timings(served.predict([1, 2]))) == {"queue", "batch", "run"}
