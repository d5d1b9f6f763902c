"""One inference, on the direct path and in a task: both have the same responses, headers and metrics."""

import asyncio
import gzip
import json
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from runtime.frontends.application import Application
from runtime.frontends.endpoints import Endpoints
from runtime.frontends.inference import Inference
from runtime.frontends.routes import Match
from runtime.http.exchange import Exchange
from runtime.http.messages import Answer, Request
from runtime.protocols.predict import PredictApi
from runtime.service import Service
from runtime.settings import settings_from
from tests import models
from tests.runtime.frontends.conftest import Served, counts, error_of, serving
from tests.runtime.recording import RecordingSink

PATH = "/api/v1/models/m/predict"
SLOW_PATH = {"content-encoding": "gzip"}  # a compressed body is never answered directly
BOTH_PATHS = pytest.mark.parametrize("direct", [True, False], ids=["direct", "in a task"])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A lookup table with 10 entries; the model rejects any other index."""
    folder = tmp_path_factory.mktemp("served")
    with serving(folder, models.lookup(folder / "m.onnx"), SCALEZERO_MAX_BODY_BYTES="1000000") as served:
        yield served


def ask(served: Served, content: bytes, *, direct: bool = True, path: str = PATH) -> tuple[int, dict[str, str], bytes]:
    with served.client(headers={"x-request-id": "r-1"}) as client:
        body, headers = (content, {}) if direct else (gzip.compress(content), SLOW_PATH)
        response = client.post(path, content=body, headers=headers)
    return response.status_code, dict(response.headers), response.content


@BOTH_PATHS
@pytest.mark.parametrize(
    ("content", "path", "status", "code", "fault"),
    [
        (b'{"inputs":[3]}', PATH, 200, "ok", "none"),
        (b"{", PATH, 400, "invalid_input", "client"),
        (b'{"inputs":["a"]}', PATH, 400, "invalid_input", "client"),
        (b'{"inputs":[99]}', PATH, 400, "rejected_by_model", "client"),
        (b'{"inputs":[3]}', "/api/v1/models/other/predict", 404, "model_not_found", "client"),
    ],
)
def test_each_result_has_the_same_response_and_is_counted_once(
    served: Served,
    content: bytes,
    path: str,
    status: int,
    code: str,
    fault: str,
    direct: bool,  # noqa: FBT001 - a parameter of the table
) -> None:
    before = counts(served)
    received, headers, body = ask(served, content, direct=direct, path=path)
    after = counts(served)
    assert received == status, body
    assert code == "ok" or json.loads(body)["error"]["code"] == code
    assert headers["x-request-id"] == "r-1"
    assert headers["x-model-version"] == "1"
    assert ("server-timing" in headers) is (status == 200)
    new = {key: value - before.get(key, 0) for key, value in after.items() if value != before.get(key, 0)}
    assert new == {("predict", code, fault): 1}


@pytest.mark.parametrize(
    ("head", "status", "code", "protocol"),
    [
        (f"POST {PATH} HTTP/1.1\r\nhost: x\r\ncontent-length: 1000001\r\n\r\n", 413, "payload_too_large", "predict"),
        (f"GET /nowhere HTTP/1.1\r\nhost: x\r\na: {'a' * 70_000}\r\n\r\n", 431, "headers_too_large", "scalezero"),
        ("no request at all\r\n\r\n", 400, "bad_request", "scalezero"),
    ],
)
def test_requests_that_the_transport_refuses_are_counted(
    served: Served, head: str, status: int, code: str, protocol: str
) -> None:
    before = counts(served).get((protocol, code, "client"), 0)
    with socket.create_connection(("127.0.0.1", served.port), 30) as raw:
        raw.sendall(head.encode())
        assert raw.recv(4096).startswith(b"HTTP/1.1 %d " % status)
    assert counts(served)[protocol, code, "client"] == before + 1


@pytest.mark.parametrize(
    ("method", "path", "status", "code", "allow"),
    [
        ("GET", "/api/v1/models/", 404, "path_not_found", None),
        ("POST", "/api/v1/models/m/nothing", 404, "path_not_found", None),
        ("POST", "/api/v1/models/m/predict/", 404, "path_not_found", None),
        ("GET", "/api/v1/models/n", 404, "model_not_found", None),
        ("GET", PATH, 405, "method_not_allowed", "POST"),
        ("HEAD", PATH, 405, None, "POST"),
        ("POST", "/api/v1/models", 405, "method_not_allowed", "GET, HEAD"),
        ("DELETE", "/api/v1/models/m", 405, "method_not_allowed", "GET, HEAD"),
        ("HEAD", "/api/v1/models", 200, None, None),
        ("HEAD", "/api/v1/models/m", 200, None, None),
        ("HEAD", "/api/v1/models/n", 404, None, None),
        ("HEAD", "/metrics", 200, None, None),
    ],
)
@pytest.mark.parametrize("http2", [False, True], ids=["HTTP/1.1", "HTTP/2"])
def test_paths_and_methods_below_the_models(
    served: Served,
    method: str,
    path: str,
    status: int,
    code: str | None,
    allow: str | None,
    http2: bool,  # noqa: FBT001 - a parameter of the table
) -> None:
    with served.client(http1=not http2, http2=http2) as client:
        response = client.request(method, path)
        assert client.get("/healthz/live").status_code == 200  # on the same connection: the first response is complete
    assert response.status_code == status
    assert response.headers.get("allow") == allow
    if code:
        assert error_of(response, status)["code"] == code
    else:
        assert response.content == b""


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/v1/models/a%20b/predict", 200),
        ("/api/v1/models/%61%20%62/predict", 200),
        ("/api/v1/models/a%2Fb/predict", 404),
        ("/api/v1/models/a+b/predict", 404),
        ("/api/v1/models/%ff%fe/predict", 404),
    ],
)
@pytest.mark.parametrize("http2", [False, True], ids=["HTTP/1.1", "HTTP/2"])
def test_a_models_name_may_be_percent_encoded(
    spaced: Served,
    path: str,
    status: int,
    http2: bool,  # noqa: FBT001 - as above
) -> None:
    with spaced.client(http1=not http2, http2=http2) as client:
        response = client.post(path, content=b'{"inputs":[3]}')
    assert response.status_code == status, response.text
    if status == 200:
        assert response.json()["model_name"] == "a b"
    else:
        assert error_of(response, 404)["message"]


@pytest.fixture(scope="module")
def spaced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A model with a space in its name."""
    folder = tmp_path_factory.mktemp("spaced")
    with serving(folder, models.lookup(folder / "m.onnx"), SCALEZERO_MODEL_NAME="a b") as served:
        yield served


# Internal errors, which no request can cause.


class Broken(PredictApi):
    """A translator with a bug."""

    def encode(self, *_: object, **__: object) -> Answer:
        """Fail."""
        raise TypeError("a secret of the server")


class FakeExchange:
    """An exchange with the attributes that an inference uses."""

    def __init__(self, body: bytes) -> None:
        self.request = Request("POST", PATH, PATH.encode(), b"", [], "1.1", body)
        self.request.match = Match({}, {"model": "m"})
        self.answered = False
        self.on_cancel: Callable[[], object] | None = None
        self.task: asyncio.Task[None] | None = None

    def run_handler(self, answering: Callable[[], Coroutine[object, object, None]]) -> None:
        """Answer by a coroutine."""
        self.task = asyncio.get_running_loop().create_task(answering())


class RecordingApplication(Application):
    """An application that keeps the response instead of sending it."""

    def __init__(self, service: Service, replied: asyncio.Future[Answer]) -> None:
        super().__init__(service)
        self.replied = replied

    def reply(self, _: object, answer: Answer) -> None:
        self.replied.set_result(answer)


def test_an_internal_error_after_a_run_is_500_without_its_text_and_is_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = models.lookup(tmp_path / "m.onnx")
    settings = settings_from({"SCALEZERO_MODEL_URI": str(path), "SCALEZERO_LOAD": "lazy"})

    async def scenario() -> tuple[Answer, dict[str, tuple[str, int]]]:
        service = Service(settings, process_started=time.perf_counter())
        await service.open()
        served = service.model("m")
        await served.load()
        replied: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        inference = Inference(service, Broken(), RecordingApplication(service, replied))
        assert inference.direct(cast("Exchange", FakeExchange(b'{"inputs":[3]}')))
        answer = await asyncio.wait_for(replied, 30)
        served.measurements.count()
        counted = {code: each.cumulative()[-1] for (_, code), each in served.measurements.requests.items()}
        await service.close()
        return answer, counted

    answer, counted = asyncio.run(scenario())
    assert answer.status == 500
    assert json.loads(cast("bytes", answer.body))["error"]["code"] == "internal"
    assert b"secret" not in cast("bytes", answer.body)
    assert "a secret of the server" in caplog.text
    assert counted == {"internal": ("+Inf", 1)}


def test_an_answered_inference_is_offered_to_the_sinks_once(tmp_path: Path) -> None:
    path = models.lookup(tmp_path / "m.onnx")
    settings = settings_from({"SCALEZERO_MODEL_URI": str(path), "SCALEZERO_MODEL_VERSION": "7"})
    sink = RecordingSink()

    async def status(service: Service, body: bytes) -> int:
        replied: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        inference = Inference(service, PredictApi(), RecordingApplication(service, replied))
        assert inference.direct(cast("Exchange", FakeExchange(body)))
        return (await asyncio.wait_for(replied, 30)).status

    async def scenario() -> None:
        service = Service(settings, process_started=time.perf_counter())
        await service.open()
        await service.model("m").load()
        service.sinks.add(sink)
        assert await status(service, b'{"inputs":[3]}') == 200
        assert await status(service, b'{"inputs":[99]}') == 400
        assert await status(service, b'{"inputs":') == 400  # not offered: the model is unknown
        await service.close()

    asyncio.run(scenario())
    assert [(each.protocol, each.model, each.version, each.code) for each in sink.taken] == [
        ("predict", "m", "7", "ok"),
        ("predict", "m", "7", "rejected_by_model"),
    ]
    good, bad = sink.taken
    assert good.queries[0].tensors[0].tolist() == [3]
    assert good.predictions[0].outputs[0].tolist() == [30]
    assert good.seconds > 0
    assert not bad.queries


def test_a_hanging_run_fails_liveness_with_the_reason(tmp_path: Path) -> None:
    """Set the watchdog's finding directly; see tests/runtime/batching/test_runs.py for the watchdog."""
    path = models.lookup(tmp_path / "m.onnx")
    settings = settings_from({"SCALEZERO_MODEL_URI": str(path), "SCALEZERO_LOAD": "lazy"})

    async def scenario() -> list[tuple[int, dict[str, str]]]:
        service = Service(settings, process_started=time.perf_counter())
        await service.open()
        ready = await service.model("m").load()
        endpoints = Endpoints(service, None)
        answers = []
        for stuck in (None, "a run has not returned", None):
            ready.batcher._watchdog.stuck = stuck
            answer = endpoints.live(Request("GET", "/healthz/live", b"/healthz/live", b"", [], "1.1"))
            answers.append((answer.status, json.loads(cast("bytes", answer.body))))
        await service.close()
        return answers

    live = (200, {"status": "live"})
    stuck = (503, {"status": "stuck", "reason": "a run has not returned"})
    assert asyncio.run(scenario()) == [live, stuck, live]


def test_a_large_answer_to_a_small_request_is_encoded_on_a_thread(tmp_path: Path) -> None:
    path = models.zeros(tmp_path / "m.onnx")
    settings = settings_from({"SCALEZERO_MODEL_URI": str(path)})
    threads: list[str] = []

    class RecordingTranslator(PredictApi):
        def encode(self, *args: Any, **options: Any) -> Answer:  # noqa: ANN401 - passed on
            threads.append(threading.current_thread().name)
            return super().encode(*args, **options)

    async def ask(service: Service, rows: int) -> int:
        replied: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        exchange = FakeExchange(b'{"inputs":[%d]}' % rows)
        assert Inference(service, RecordingTranslator(), RecordingApplication(service, replied)).direct(
            cast("Exchange", exchange)
        )
        return (await asyncio.wait_for(replied, 30)).status

    async def scenario() -> dict[str, tuple[str, int]]:
        service = Service(settings, process_started=time.perf_counter())
        await service.open()
        served = service.model("m")
        await served.load()
        assert [await ask(service, rows) for rows in (5, 100_000)] == [200, 200]
        served.measurements.count()
        counted = {code: each.cumulative()[-1] for (_, code), each in served.measurements.requests.items()}
        await service.close()
        return counted

    assert asyncio.run(scenario()) == {"ok": ("+Inf", 2)}
    small, large = threads
    assert small == threading.current_thread().name
    assert large != small
