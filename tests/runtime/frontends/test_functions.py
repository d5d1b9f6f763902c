"""The author's function: hosted together with the protocols, and under the plain functions-framework."""

import asyncio
import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

import functions.payment_model
from functions.payment_model.train import train
from runtime.frontends.functions import FunctionHost
from runtime.frontends.functions.loading import load
from tests import models
from tests.runtime.frontends.conftest import Served, environment, error_of, free_port, serving, until
from tests.s3_server import S3Server
from tests.waiting import DEADLINE, eventually

MAIN = Path(functions.payment_model.__file__).with_name("main.py")
HONEST = {"amount": 21.5, "merchant_category": "grocery", "hour": 17, "weekday": 2}
ECHO = """
import flask
from runtime.author import answer_errors, model

def handle(request):
    body = request.get_json()
    answer = model("m").predict(body["rows"])
    return {"outputs": answer.outputs["y"].tolist(), "version": answer.model_version}

@answer_errors
def plain(request):
    return handle(request)

def broken(request):
    raise RuntimeError("the author's own fault")

def held(request):
    # It returns when there is no file main.py.hold.
    import os, time
    with open(__file__ + ".log", "a") as log:
        log.write(request.path)
    while os.path.exists(__file__ + ".hold"):
        time.sleep(0.01)
    return "done"

def endless(request):
    import time
    def pieces():
        try:
            while True:
                time.sleep(0.01)
                yield b"x" * 100
        finally:
            open(__file__ + ".log", "w").write("closed")
    return flask.Response(pieces()) if request.path == "/endless" else "short"

def large(request):
    return str(len(request.get_data()))
"""


ABORTING = """
import flask
import functions_framework

class Teapot(Exception):
    pass

@functions_framework.errorhandler(Teapot)
def answer_teapot(error):
    return "the author's own answer", 418

def handle(request):
    if request.path == "/404":
        flask.abort(404, "not here")
    if request.path == "/500":
        flask.abort(500, "as meant")
    if request.path == "/returned":
        return "mine", 500
    if request.path == "/caught":
        raise Teapot
    return 7
"""
OWN_HANDLER = """
import functions_framework

@functions_framework.errorhandler(500)
def answer_all(error):
    return f"handled by the author: {error.original_exception}", 500

def handle(request):
    return {}["amount"]
"""


@pytest.fixture(scope="module")
def aborting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A function that handles errors itself."""
    folder = tmp_path_factory.mktemp("aborting")
    (folder / "main.py").write_text(ABORTING)
    models.doubling(folder / "m.onnx")
    with serving(folder, folder / "m.onnx", FUNCTION_SOURCE=str(folder / "main.py")) as served:
        yield served


@pytest.fixture(scope="module")
def payment_model(s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URI of payment-model 2.0.0 on the real S3."""
    trained = train("2.0.0", tmp_path_factory.mktemp("trained"), payments=4_000)
    uri = "s3://hosted/payment-model-v2.onnx"
    s3.put(uri, trained.path.read_bytes(), {"version": "2.0.0"})
    return uri


@pytest.fixture(scope="module")
def payments(s3: S3Server, payment_model: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """payment-model and its function, with the environment of a pod."""
    settings = {"SCALEZERO_MODEL_URI": payment_model, "SCALEZERO_MODEL_NAME": "payment-model", "K_REVISION": "p-2"}
    folder = tmp_path_factory.mktemp("payments")
    with serving(folder, env={**s3.environment(), **settings}, FUNCTION_SOURCE=str(MAIN)) as served:
        yield served


@pytest.fixture
def main(tmp_path: Path) -> Path:
    """A function's folder with a fast model."""
    (tmp_path / "main.py").write_text(ECHO)
    models.doubling(tmp_path / "m.onnx")
    return tmp_path / "main.py"


def post(served: Served, content: Any, path: str = "/") -> httpx.Response:  # noqa: ANN401 - any JSON value
    with served.client() as client:
        return client.post(path, json=content)


def test_a_payment_is_decided(payments: Served) -> None:
    response = post(payments, HONEST)
    assert response.status_code == 200
    document = response.json()
    assert document["decision"] == "approve"
    assert 0 <= document["fraud_score"] < 0.2
    assert document["model_version"] == "2.0.0"
    assert (response.headers["x-revision"], response.headers["x-model-version"]) == ("p-2", "2.0.0")


def test_the_function_and_the_predict_api_agree(payments: Served) -> None:
    from functions.payment_model.features import ScoreRequest

    features = ScoreRequest.read(httpx.Request("POST", "http://x", json=HONEST).read()).rows[0]
    score = payments.predict(features, model="payment-model").json()["outputs"][0]
    assert post(payments, HONEST).json()["fraud_score"] == pytest.approx(score, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "amount"),
        ({**HONEST, "hour": 24}, "hour"),
        ({**HONEST, "ammount": 3}, "ammount"),
        ([], "body"),
        ([HONEST, {**HONEST, "amount": -1}], "[1].amount"),
        ("text", "body"),
    ],
)
def test_a_bad_payment_is_400_and_names_the_field(payments: Served, body: object, field: str) -> None:
    assert error_of(post(payments, body), 400)["details"]["field"] == field


def test_concurrent_payments_get_their_own_responses(payments: Served) -> None:
    amounts = [1.0 + 40 * number for number in range(24)]
    alone = [post(payments, {**HONEST, "amount": amount}).json()["fraud_score"] for amount in amounts]
    with ThreadPoolExecutor(12) as callers:
        together = list(callers.map(lambda amount: post(payments, {**HONEST, "amount": amount}).json(), amounts))
    assert [each["fraud_score"] for each in together] == pytest.approx(alone, rel=1e-4)
    assert len(set(alone)) > 12


def test_an_input_that_the_model_rejects_gets_the_error_of_the_predict_api(tmp_path: Path, main: Path) -> None:
    with serving(tmp_path, tmp_path / "m.onnx", FUNCTION_SOURCE=str(main)) as served:
        assert post(served, {"rows": [[1, 2]]}).json() == {"outputs": [[2, 4]], "version": "1"}
        assert post(served, {"rows": [[1, 2]]}, "/any/path").json()["outputs"] == [[2, 4]]
        for rows, field in (([["a", 1]], "rows.x[0][0]"), ([[1, 2, 3]], "inputs.x"), ([], "rows.x")):
            error = error_of(post(served, {"rows": rows}), 400)
            assert error["code"] == "invalid_input"
            assert error["details"]["field"] in (field, "inputs.x")
        assert post(served, {"rows": [[index, 1] for index in range(100)]}).json()["outputs"][99] == [198, 2]


def test_a_model_that_cannot_be_loaded_is_503_also_through_the_function(
    s3: S3Server, tmp_path: Path, main: Path
) -> None:
    s3.make_bucket("hosted")
    uri = "s3://hosted/late/m.onnx"
    with serving(tmp_path, uri, "--lazy", env=s3.environment(), FUNCTION_SOURCE=str(main)) as served:
        assert error_of(post(served, {"rows": [[1, 2]]}), 503)["code"] == "artifact_missing"
        s3.put(uri, (tmp_path / "m.onnx").read_bytes())
        assert post(served, {"rows": [[1, 2]]}).json()["outputs"] == [[2, 4]]


def test_a_call_has_the_common_headers_metrics_and_access_log(tmp_path: Path, main: Path) -> None:
    """The first call loads the model, and its response already has the version."""
    settings = {"FUNCTION_SOURCE": str(main), "SCALEZERO_ACCESS_LOG": "true", "K_REVISION": "m-1"}
    with (
        serving(tmp_path, tmp_path / "m.onnx", "--lazy", ready=False, env=settings) as served,
        served.client(headers={"x-request-id": "r-7"}) as client,
    ):
        first = client.post("/", json={"rows": [[1, 2]]})
        assert first.status_code == 200
        names = ("x-model-version", "x-revision", "x-request-id")
        assert [first.headers.get_list(name) for name in names] == [["1"], ["m-1"], ["r-7"]]
        assert client.post("/", json={"rows": [["a", 2]]}).status_code == 400
        counted = re.findall(r"scalezero_request_seconds_count{(.*)} (.*)", served.get("/metrics").text)
        lines = [json.loads(line) for line in served.log.read_text().splitlines()]
    assert {(name.partition("code=")[2], count) for name, count in counted if 'protocol="function"' in name} == {
        ('"ok",fault="none",model="m",protocol="function",revision="m-1",version="1"', "1.0"),
        ('"http_400",fault="client",model="m",protocol="function",revision="m-1",version="1"', "1.0"),
    }
    logged = [line for line in lines if line["message"] == "request" and line["path"] == "/"]
    assert [(line["status"], line["method"], line["request_id"]) for line in logged] == [
        (200, "POST", "r-7"),
        (400, "POST", "r-7"),
    ]


def test_a_request_refused_before_the_function_counts_under_the_function(tmp_path: Path, main: Path) -> None:
    settings = {"SCALEZERO_MAX_BODY_BYTES": "10", "FUNCTION_SOURCE": str(main)}
    with serving(tmp_path, tmp_path / "m.onnx", env=settings) as served:
        error_of(post(served, {"rows": [[1, 2]]}), 413)
        metrics = served.get("/metrics").text
    assert re.search(
        r'scalezero_request_seconds_count{code="payload_too_large",fault="client",.*protocol="function",.*} 1.0',
        metrics,
    )


def test_an_exception_of_the_function_is_500_and_the_server_continues(tmp_path: Path, main: Path) -> None:
    with serving(tmp_path, tmp_path / "m.onnx", FUNCTION_SOURCE=str(main), FUNCTION_TARGET="broken") as served:
        response = post(served, {})
        error = error_of(response, 500)
        assert served.predict([1, 2]).status_code == 200
        logged = served.log.read_text()
    assert (error["code"], error["details"]) == ("function_crashed", {"exception": "RuntimeError"})
    assert "RuntimeError" in error["message"]
    assert "the author's own fault" not in response.text
    assert "the author's own fault" in logged
    assert "Traceback" in logged


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/404", (404, "not here")),
        ("/500", (500, "as meant")),
        ("/returned", (500, "mine")),
        ("/caught", (418, "the author's own answer")),
    ],
)
def test_responses_and_aborts_of_the_function_are_unchanged(
    aborting: Served, path: str, expected: tuple[int, str]
) -> None:
    response = post(aborting, {}, path)
    assert response.status_code == expected[0]
    assert expected[1] in response.text
    assert not response.headers["content-type"].startswith("application/json")


def test_a_return_value_that_flask_rejects_is_an_error_of_the_function(aborting: Served) -> None:
    assert error_of(post(aborting, {}, "/number"), 500)["details"] == {"exception": "TypeError"}


def test_an_error_handler_of_the_author_is_used(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(OWN_HANDLER)
    with serving(tmp_path, models.doubling(tmp_path / "m.onnx"), FUNCTION_SOURCE=str(tmp_path / "main.py")) as served:
        response = post(served, {})
    assert (response.status_code, response.text) == (500, "handled by the author: 'amount'")


PRIVATE = "postgres://app:hunter2@db"
IN_A_MODULE = f"""
import pathlib
folder = pathlib.Path(__file__).parent / "lib"
folder.mkdir(exist_ok=True)
(folder / "db.py").write_text("def connect():\\n    raise OSError('{PRIVATE}')\\n")
from lib.db import connect
connect()
"""


@pytest.mark.parametrize(
    ("code", "target", "reason"),
    [
        ("def handle(request:\n", "handle", "SyntaxError at main.py:1"),
        ("import os\nimport a_module_that_is_not_there\n", "handle", "ModuleNotFoundError at main.py:2"),
        ("raise SystemExit(3)\n", "handle", "SystemExit at main.py:1"),
        ("raise KeyboardInterrupt\n", "handle", "KeyboardInterrupt at main.py:1"),
        (f"raise ValueError('{PRIVATE}')\n", "handle", "ValueError at main.py:1"),
        (f"import json\njson.loads('{PRIVATE}')\n", "handle", "JSONDecodeError at main.py:2"),
        (IN_A_MODULE, "handle", "OSError at lib/db.py:2"),
        (ECHO, "handel", "it has no function 'handel'; set FUNCTION_TARGET to the name of a function in the file"),
        (
            "handle = 3\n",
            "handle",
            "'handle' in it is not a function; set FUNCTION_TARGET to the name of a function in the file",
        ),
    ],
)
def test_a_function_that_cannot_be_loaded_is_not_ready_with_only_type_and_line(
    tmp_path: Path, code: str, target: str, reason: str
) -> None:
    source = tmp_path / "main.py"
    source.write_text(code)
    models.doubling(tmp_path / "m.onnx")
    settings = {"FUNCTION_SOURCE": str(source), "FUNCTION_TARGET": target}
    with serving(tmp_path, tmp_path / "m.onnx", ready=False, env=settings) as served:
        answers = [post(served, {})]
        until(served, "/healthz/ready", status=503)
        answers += [served.get("/healthz/ready"), post(served, {})]
        assert served.get("/healthz/live").status_code == 200
        logged = served.log.read_text()
    for answer in answers:
        assert str(tmp_path) not in answer.text
        assert PRIVATE not in answer.text
    for each in (answers[0], answers[2]):
        error = error_of(each, 503)
        assert (error["code"], error["details"]) == ("function_failed", {"source": "main.py", "reason": reason})
    assert answers[1].json()["function"] == error
    assert "Traceback" in logged
    assert (PRIVATE in code) <= (PRIVATE in logged)


SLOW_IMPORT = """
import pathlib, time
while not pathlib.Path(__file__ + ".go").exists():
    time.sleep(0.01)
def handle(request):
    return "done"
"""


@pytest.mark.parametrize(("code", "imported"), [(SLOW_IMPORT, True), (SLOW_IMPORT + "raise SystemExit", False)])
def test_a_host_is_ready_only_after_the_import(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    imported: bool,  # noqa: FBT001 - a case
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])  # functions-framework appends the source's folder
    monkeypatch.setitem(sys.modules, "once", ModuleType("once"))  # and its module, which is removed again
    source = tmp_path / "once.py"
    source.write_text(code)

    async def watch() -> tuple[list[bool], str | None]:
        host = FunctionHost(partial(load, source, "handle"), folder=tmp_path, threads=1, waiting=1, timeout=1, limit=9)
        seen = [host.ready]
        loading = asyncio.create_task(host.preload())
        await asyncio.sleep(0.1)
        seen.append(host.ready)
        source.with_name("once.py.go").touch()
        await loading
        return [*seen, host.ready], host.error.code if host.error else None

    assert asyncio.run(watch()) == ([False, False, imported], None if imported else "function_failed")


@pytest.mark.parametrize(
    "text",
    [
        "import functions_framework.aio\n@functions_framework.aio.http\nasync def handle(request): ...\n",
        "import functions_framework\n@functions_framework.http\nasync def handle(request): ...\n",
        "async def handle(request): ...\n",
    ],
    ids=["functions_framework.aio", "decorated", "plain"],
)
def test_an_asynchronous_function_is_refused(tmp_path: Path, text: str) -> None:
    source = tmp_path / "main.py"
    source.write_text(text)
    models.doubling(tmp_path / "m.onnx")
    with serving(tmp_path, tmp_path / "m.onnx", ready=False, FUNCTION_SOURCE=str(source)) as served:
        error = error_of(post(served, {}), 503)
    assert error["code"] == "function_failed"
    assert "'handle'" in error["message"]
    assert "def instead of async def" in error["message"]


def test_running_and_waiting_calls_are_limited(tmp_path: Path, main: Path) -> None:
    settings = {"SCALEZERO_FUNCTION_THREADS": "2", "SCALEZERO_QUEUE_SIZE": "1", "FUNCTION_TARGET": "held"}
    hold = main.with_name("main.py.hold")
    with (
        serving(tmp_path, tmp_path / "m.onnx", FUNCTION_SOURCE=str(main), env=settings) as served,
        ThreadPoolExecutor(8) as callers,
    ):
        assert post(served, {}).text == "done"
        hold.touch()
        asked = [callers.submit(post, served, {}) for _ in range(8)]
        for each in islice(as_completed(asked), 5):  # while two run and one waits
            assert error_of(each.result(), 429)["code"] == "queue_full"
            assert each.result().headers["retry-after"] == "1"
        hold.unlink()
        assert [each.result().status_code for each in asked].count(200) == 3


@contextmanager
def sending(served: Served, path: str) -> Iterator[socket.socket]:
    """Send a request, and disconnect at the end of the block."""
    with socket.create_connection(("127.0.0.1", served.port), DEADLINE) as connection:
        connection.sendall(b"GET %b HTTP/1.1\r\nhost: x\r\n\r\n" % path.encode())
        yield connection


def test_a_waiting_call_of_a_disconnected_client_never_runs(tmp_path: Path, main: Path) -> None:
    settings = {"SCALEZERO_FUNCTION_THREADS": "1", "FUNCTION_TARGET": "held", "FUNCTION_SOURCE": str(main)}
    log, hold = main.with_name("main.py.log"), main.with_name("main.py.hold")
    with serving(tmp_path, tmp_path / "m.onnx", env=settings) as served, ThreadPoolExecutor(1) as callers:
        assert served.get("/first").text == "done"
        hold.touch()
        with sending(served, "/second"):
            eventually(lambda: log.read_text() == "/first/second")
            with sending(served, "/left"):
                time.sleep(0.1)  # it is read and waits
            assert served.get("/healthz/live").status_code == 200  # after the end of the connection
            last = callers.submit(served.get, "/last")
            hold.unlink()
            assert last.result().text == "done"
    assert log.read_text() == "/first/second/last"


def test_a_call_that_waits_longer_than_the_timeout_is_504_and_never_runs(tmp_path: Path, main: Path) -> None:
    settings = {"SCALEZERO_FUNCTION_THREADS": "1", "SCALEZERO_TIMEOUT": "1s", "FUNCTION_TARGET": "held"}
    log, hold = main.with_name("main.py.log"), main.with_name("main.py.hold")
    with serving(tmp_path, tmp_path / "m.onnx", FUNCTION_SOURCE=str(main), env=settings) as served:
        assert served.get("/first").text == "done"
        hold.touch()
        with sending(served, "/second"):
            eventually(lambda: log.read_text() == "/first/second")
            error = error_of(served.get("/late"), 504)
            assert (error["code"], error["details"]["timeout_seconds"]) == ("deadline_exceeded", 1)
        hold.unlink()
        eventually(lambda: served.get("/last").text == "done")
    assert log.read_text() == "/first/second/last"


@pytest.mark.parametrize("http2", [False, True])
def test_a_streamed_response_ends_when_its_client_disconnects(tmp_path: Path, main: Path, http2: bool) -> None:  # noqa: FBT001 - a case
    settings = {"SCALEZERO_FUNCTION_THREADS": "1", "FUNCTION_TARGET": "endless", "FUNCTION_SOURCE": str(main)}
    log = main.with_name("main.py.log")
    with serving(tmp_path, tmp_path / "m.onnx", env=settings) as served:
        with (
            served.client(http1=not http2, http2=http2) as client,
            client.stream("POST", "/endless", content=b"x") as answer,
        ):
            assert len(next(answer.iter_raw(1000))) == 1000
        eventually(lambda: log.is_file() and log.read_text() == "closed")
        assert served.get("/").text == "short"  # on the only thread


def test_a_body_above_the_limit_is_413_also_for_a_function(tmp_path: Path, main: Path) -> None:
    settings = {"SCALEZERO_MAX_BODY_BYTES": "1000", "FUNCTION_TARGET": "large"}
    with (
        serving(tmp_path, tmp_path / "m.onnx", FUNCTION_SOURCE=str(main), env=settings) as served,
        served.client() as client,
    ):
        assert client.post("/", content=b"x" * 1000).text == "1000"
        assert error_of(client.post("/", content=b"x" * 1001), 413)["code"] == "payload_too_large"
        pieces = (b"x" * 100 for _ in range(11))
        assert error_of(client.post("/", content=pieces), 413)["code"] == "payload_too_large"


def test_a_query_that_is_not_ascii_is_400(tmp_path: Path, main: Path) -> None:
    settings = {"FUNCTION_SOURCE": str(main), "FUNCTION_TARGET": "large"}
    with serving(tmp_path, tmp_path / "m.onnx", env=settings) as served:
        with socket.create_connection(("127.0.0.1", served.port), DEADLINE) as connection:
            connection.sendall(b"GET /?q=\xff HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            head, _, body = connection.makefile("rb").read().partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 400 ")
        error = json.loads(body)["error"]
        assert error["code"] == "bad_request"
        assert served.get("/?q=%ff").text == "0"


def test_a_chunked_body_reaches_the_function(tmp_path: Path, main: Path) -> None:
    with serving(tmp_path, tmp_path / "m.onnx", FUNCTION_SOURCE=str(main), FUNCTION_TARGET="large") as served:
        for http2 in (False, True):
            with served.client(http1=not http2, http2=http2) as client:
                assert client.post("/", content=(b"x" * 100 for _ in range(30))).text == "3000"


def answers(process: "subprocess.Popen[bytes]", port: int) -> bool:
    assert process.poll() is None
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def framework(folder: Path, source: Path, *, target: str = "handle", env: Mapping[str, str]) -> Iterator[Served]:
    """Run the plain `functions-framework` with this function until the block ends."""
    port = free_port()
    log = folder / "framework.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("functions-framework"), "--source", source, "--target", target],
            env={**environment(folder), "PORT": str(port), "HOST": "127.0.0.1", **env},
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            cwd=MAIN.parents[2],
        )
    try:
        eventually(lambda: answers(process, port), log.read_text)
        yield Served(url=f"http://127.0.0.1:{port}", port=port, process=process, log=log)
    finally:
        process.terminate()
        process.wait(DEADLINE)


def test_the_same_function_runs_under_the_plain_functions_framework(
    s3: S3Server, payment_model: str, tmp_path: Path
) -> None:
    settings = {"SCALEZERO_MODEL_URI": payment_model, "SCALEZERO_MODEL_NAME": "payment-model"}
    with framework(tmp_path, MAIN, env={**s3.environment(), **settings}) as served:
        with ThreadPoolExecutor(4) as callers:
            answers = list(callers.map(lambda hour: post(served, {**HONEST, "hour": hour}), range(10, 18)))
        assert {each.json()["decision"] for each in answers} == {"approve"}
        assert answers[0].json()["model_version"] == "2.0.0"
        assert error_of(post(served, {}), 400)["details"]["field"] == "amount"


def test_rejected_inputs_have_their_status_also_under_the_plain_framework(
    s3: S3Server, tmp_path: Path, main: Path
) -> None:
    s3.make_bucket("hosted")
    uri = "s3://hosted/plain/m.onnx"
    settings = {"SCALEZERO_MODEL_URI": uri, "SCALEZERO_LOAD": "lazy"}
    with framework(tmp_path, main, target="plain", env={**s3.environment(), **settings}) as served:
        assert error_of(post(served, {"rows": [[1, 2]]}), 503)["code"] == "artifact_missing"
        s3.put(uri, (tmp_path / "m.onnx").read_bytes())
        assert post(served, {"rows": [[1, 2]]}).json()["outputs"] == [[2, 4]]
        error = error_of(post(served, {"rows": [["a", 1]]}), 400)
        assert (error["code"], error["details"]["field"]) == ("invalid_input", "rows.x[0][0]")


def test_a_prediction_at_import_does_not_block_forked_processes(tmp_path: Path) -> None:
    """Gunicorn imports the function and then forks. The event loop of the import stays in the parent process."""
    source = tmp_path / "main.py"
    source.write_text(
        "import os\n"
        "from runtime.author import model\n"
        "at_import = model('m').predict([[1, 2]]).outputs['y'].tolist(), os.getpid()\n"
        "def handle(request):\n"
        "    now = model('m').predict([[3, 4]]).outputs['y'].tolist()\n"
        "    return {'import': at_import[0], 'now': now, 'forked': at_import[1] != os.getpid()}\n"
    )
    path = models.doubling(tmp_path / "m.onnx")
    with framework(tmp_path, source, env={"SCALEZERO_MODEL_URI": str(path)}) as served:
        assert post(served, {}).json() == {"import": [[2, 4]], "now": [[6, 8]], "forked": True}


def test_a_function_may_return_numpy_values(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(
        "import numpy as np\n"
        "def handle(request):\n"
        "    rows = np.ones((300, 300), np.float32)\n"
        "    return {'scalar': np.float32(1.5), 'whole': np.int64(3), 'truth': np.bool_(True), 'rows': rows}\n"
    )
    models.doubling(tmp_path / "m.onnx")
    with serving(tmp_path, tmp_path / "m.onnx", FUNCTION_SOURCE=str(tmp_path / "main.py")) as served:
        answer = post(served, {}).json()
    assert answer == {"scalar": 1.5, "whole": 3, "truth": True, "rows": [[1.0] * 300] * 300}


@pytest.mark.parametrize("own", [True, False], ids=["the function's own", "none of the function's"])
@pytest.mark.parametrize("sent", [["r-1"], ["r-1", "r-2"], []], ids=["one", "two", "none"])
def test_a_response_has_one_request_id_and_prefers_the_clients(ids: Served, sent: list[str], *, own: bool) -> None:
    headers = [*(("x-request-id", each) for each in sent), ("x-own", "r-own" if own else "")]
    with ids.client() as client:
        answer = client.post("/", headers=headers)
    expected = sent[:1] or (["r-own"] if own else [])
    assert answer.headers.get_list("x-request-id") == expected


def test_log_lines_of_the_function_have_the_request_id(ids: Served) -> None:
    with ids.client() as client:
        client.post("/", headers={"x-request-id": "r-logged", "traceparent": "00-1-2-01"})
    line = next(
        line for line in map(json.loads, ids.log.read_text().splitlines()) if line.get("request_id") == "r-logged"
    )
    assert (line["logger"], line["message"], line["traceparent"]) == ("author", "called", "00-1-2-01")


@pytest.fixture(scope="module")
def ids(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Send a request to a function that logs a line and answers with the request ID in `x-own`."""
    folder = tmp_path_factory.mktemp("ids")
    (folder / "main.py").write_text(
        "import flask, logging\n"
        "def handle(request):\n"
        "    logging.getLogger('author').warning('called')\n"
        "    own = request.headers['x-own'] if request.headers.get('x-own') else None\n"
        "    return flask.Response('', headers={'x-request-id': own} if own else {})\n"
    )
    with serving(folder, models.doubling(folder / "m.onnx"), FUNCTION_SOURCE=str(folder / "main.py")) as served:
        yield served


def test_a_function_finds_the_resources_in_its_folder(tmp_path: Path) -> None:
    """Without settings in the environment, `model.yaml` in the function's folder names the model."""
    folder = tmp_path / "echo"
    folder.mkdir()
    (folder / "main.py").write_text(ECHO)
    models.doubling(folder / "m.onnx")
    (folder / "model.yaml").write_text(
        "apiVersion: ml.example.com/v1\nkind: ModelVersion\nmetadata:\n  name: m-v7\nspec:\n  modelName: m\n"
        '  version: "7.0"\n  format: onnx\n  storage:\n    type: file\n    path: m.onnx\n'
    )
    code = (
        "import sys; sys.path.insert(0, '.')\nimport flask, main\n"
        "app = flask.Flask('x')\n"
        "with app.test_request_context(json={'rows': [[1, 2]]}):\n    print(main.handle(flask.request))\n"
    )
    env = {**environment(tmp_path), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, env=env, capture_output=True, text=True, check=True)
    assert re.search(r"\[\[2\.0, 4\.0\]\].*'7\.0'", done.stdout)
    with serving(tmp_path, folder) as served:
        assert post(served, {"rows": [[1, 2]]}).json() == {"outputs": [[2, 4]], "version": "7.0"}
        assert served.get("/api/v1/models").json()["models"][0]["version"] == "7.0"
