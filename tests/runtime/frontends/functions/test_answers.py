"""Whatever a function returns or raises, its client gets a clear response, and its thread is free for the next call."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import orjson
import pytest

from tests import models
from tests.runtime.frontends.conftest import Served, error_of, serving

FUNCTION = """
import asyncio, flask
from runtime.author import model

class Odd(BaseException): ...
RAISED = {each.__name__: each for each in (SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError, Odd)}
STATUSES = {"42": 42, "1000": 1000, "-1": -1, "999": 999, "100": 100, "hunter2": "hunter2", "201": "201 MADE IT"}
HEADERS = {"euro": ("x-a", "5 \\u20ac hunter2"), "name": ("x a", "hunter2"), "length": ("content-length", "hunter2"),
           "long": ("content-length", "2"), "short": ("content-length", "9")}

def circle():
    made = []
    made.append(made)
    return made

def deep():
    made = []
    for _ in range(100_000):
        made = [made]
    return made

def stream(before):
    yield from [b"x"] * before
    raise ValueError("hunter2")

def handle(request):
    kind, _, what = request.path[1:].partition("/")
    if kind == "raise":
        raise RAISED[what]("hunter2")
    if kind == "status":
        return "hi!", STATUSES[what]
    if kind == "header":
        made = flask.Response("hi!")
        made.headers.pop(HEADERS[what][0], None)
        made.headers.add(*HEADERS[what])
        return made
    if kind == "newline":
        return "hi!", 200, {"x-a": "a\\nhunter2"}
    if kind == "connection":
        return "hi!", 200, {"connection": "close", "transfer-encoding": "chunked", "keep-alive": "x"}
    if kind == "stream":
        return flask.Response(stream(int(what)))
    if kind == "numbers":
        return flask.Response(iter([b"x", 5]), direct_passthrough=True)
    if kind == "predict":
        return {"y": model("m").predict({"circle": circle, "deep": deep}[what]()).outputs["y"].tolist()}
    return {"circle": circle, "deep": deep, "object": object, "set": lambda: {"a": {1}}, "none": lambda: None}[kind]()
"""


@pytest.fixture(scope="module")
def answering(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The function with one thread: if a call did not release it, no further call would be answered."""
    folder = tmp_path_factory.mktemp("answering")
    (folder / "main.py").write_text(FUNCTION)
    model = models.doubling(folder / "m.onnx")
    with serving(folder, model, FUNCTION_SOURCE=str(folder / "main.py"), SCALEZERO_FUNCTION_THREADS="1") as served:
        yield served


@pytest.fixture(params=["HTTP/1.1", "HTTP/2"])
def client(answering: Served, request: pytest.FixtureRequest) -> Iterator[httpx.Client]:
    http2 = request.param == "HTTP/2"
    with answering.client(http1=not http2, http2=http2) as client:
        yield client


def fault(client: httpx.Client, path: str) -> dict[str, Any]:
    """Return the error of a call that the function causes; check that the same connection answers the next call."""
    response = client.get(path)
    assert "hunter2" not in response.text
    assert client.get("/status/201").status_code == 201
    return error_of(response, 500)


@pytest.mark.parametrize("status", ["42", "1000", "-1", "999", "100", "hunter2"])
def test_an_invalid_http_status_is_500(client: httpx.Client, status: str) -> None:
    error = fault(client, f"/status/{status}")
    assert error["code"] == "function_answer_invalid"
    assert error["details"] == {
        "part": "status",
        "got": "0" if status == "hunter2" else status,
        "expected": "a whole number from 200 to 599",
    }


def test_a_status_with_its_own_reason_phrase_has_its_number(client: httpx.Client) -> None:
    response = client.get("/status/201")
    assert (response.status_code, response.text) == (201, "hi!")


@pytest.mark.parametrize(
    ("header", "part"),
    [
        ("euro", "header x-a"),
        ("name", "name of a header"),
        ("length", "header Content-Length"),
        ("long", "body"),
        ("short", "body"),
    ],
)
def test_a_header_that_http_cannot_send_is_500_and_names_the_part(client: httpx.Client, header: str, part: str) -> None:
    error = fault(client, f"/header/{header}")
    assert (error["code"], error["details"]["part"]) == ("function_answer_invalid", part)


def test_the_function_cannot_set_connection_headers(client: httpx.Client) -> None:
    response = client.get("/connection/")
    assert (response.status_code, response.text) == (200, "hi!")
    assert not {"connection", "transfer-encoding", "keep-alive"} & set(response.headers)


@pytest.mark.parametrize(
    ("path", "exception"),
    [
        *((f"/raise/{name}", name) for name in ("SystemExit", "KeyboardInterrupt", "GeneratorExit", "Odd")),
        ("/raise/CancelledError", "CancelledError"),
        ("/newline", "ValueError"),
        ("/circle", "ValueError"),
        ("/deep", "RecursionError"),
        ("/object", "TypeError"),
        ("/set", "TypeError"),
        ("/none", "TypeError"),
        ("/stream/0", "ValueError"),
    ],
)
def test_a_call_that_raises_or_returns_an_invalid_value_is_500_with_the_exceptions_type(
    client: httpx.Client, path: str, exception: str
) -> None:
    error = fault(client, path)
    assert (error["code"], error["details"]) == ("function_crashed", {"exception": exception})


@pytest.mark.parametrize("path", ["/stream/3", "/numbers"])
def test_a_response_that_fails_after_its_head_is_aborted_and_logged_once(
    answering: Served, client: httpx.Client, path: str
) -> None:
    before = len(errors(answering))
    with pytest.raises(httpx.RemoteProtocolError):
        client.get(path)
    assert client.get("/status/201").status_code == 201
    [logged] = errors(answering)[before:]
    assert (logged["logger"], logged["path"]) == ("scalezero.function", path)


def errors(served: Served) -> list[dict[str, Any]]:
    """Return the log lines of level ERROR."""
    lines = [orjson.loads(line) for line in served.log.read_text().splitlines() if line.startswith("{")]
    return [each for each in lines if each["level"] == "ERROR"]


@pytest.mark.parametrize("rows", ["circle", "deep"])
def test_endless_rows_are_an_error_and_block_no_other_request(client: httpx.Client, rows: str) -> None:
    error = error_of(client.get(f"/predict/{rows}"), 400)
    assert (error["details"]["field"], error["details"]["got"]) == ("rows.x", "lists more than 64 deep")
    assert client.get("/healthz/live").status_code == 200


def test_the_log_has_the_details_that_the_client_does_not_get(answering: Served) -> None:
    with answering.client() as client, ThreadPoolExecutor(1) as callers:
        for path in ("/raise/SystemExit", "/status/hunter2", "/header/euro", "/stream/0"):
            before = answering.log.read_text().count("hunter2")
            assert callers.submit(client.get, path).result().status_code == 500
            assert answering.log.read_text().count("hunter2") > before, path
