"""Functions of events in a real server: beside a function of requests, alone, and with the old signature."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.runtime.frontends.conftest import Served, error_of, serving, until

BOTH = """
import pathlib, time
from cloudevents.http import CloudEvent

def handle(request):
    return f"request {request.path}"

def on_event(event):
    if event.get("subject") == "wait":
        while not pathlib.Path(__file__ + ".go").exists():
            time.sleep(0.005)
    if event.get("subject") == "crash":
        with open(__file__ + ".calls", "a") as calls:
            calls.write("x")
        raise KeyError("hunter2")
    if event.get("subject") == "own":
        return CloudEvent({"type": "done", "source": "/me", "id": "own", "time": "2026-04-05T17:31:00Z"}, "text")
    if event.get("subject") == "none":
        return None
    return {"subject": event.get("subject"), "data": event.data}
"""
ALONE = """
import functions_framework

@functions_framework.cloud_event
def handle(event):
    return event.data
"""
OLD = """
def handle(data, context):
    return {"data": data.decode(), "id": context.event_id, "type": context.event_type}
"""


def serve(folder: Path, text: str, **settings: str) -> "Iterator[Served]":
    (folder / "main.py").write_text(text)
    with serving(folder, env={"FUNCTION_SOURCE": str(folder / "main.py"), **settings}) as served:
        yield served


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    settings = {
        "SCALEZERO_EVENT_TARGET": "on_event",
        "SCALEZERO_FUNCTION_THREADS": "2",
        "SCALEZERO_FUNCTION_TIMEOUT": "2s",
    }
    yield from serve(tmp_path_factory.mktemp("both"), BOTH, **settings)


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from serve(tmp_path_factory.mktemp("alone"), ALONE)


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    yield from serve(tmp_path_factory.mktemp("old"), OLD, FUNCTION_SIGNATURE_TYPE="event")


def post(
    served: Served, number: str, subject: str | None = None, *, path: str = "/", content: bytes = b'{"a": 1}'
) -> httpx.Response:
    """Post an event in binary mode over its own connection."""
    headers = {"ce-specversion": "1.0", "ce-id": number, "ce-source": "/tests", "ce-type": "t"}
    headers |= {"content-type": "application/json"} | ({"ce-subject": subject} if subject else {})
    with served.client() as client:
        return client.post(path, content=content, headers=headers)


@pytest.mark.parametrize("path", ["/", "/events"])
def test_events_go_to_the_function_of_events(both: Served, path: str) -> None:
    response = post(both, path, "a", path=path)
    assert response.json() == {"subject": "a", "data": {"a": 1}}
    assert response.headers["ce-causationid"] == path


def test_requests_go_to_the_function_of_requests(both: Served) -> None:
    assert both.get("/").text == "request /"
    assert both.get("/other").text == "request /other"
    with both.client() as client:
        assert client.post("/", json={"specversion": "1.0"}).text == "request /"


def test_a_returned_event_is_the_reply_and_names_its_cause(both: Served) -> None:
    response = post(both, "own", "own")
    found = {name: value for name, value in response.headers.items() if name.startswith("ce-")}
    own = {
        "ce-specversion": "1.0",
        "ce-type": "done",
        "ce-source": "/me",
        "ce-id": "own",
        "ce-time": "2026-04-05T17:31:00Z",
        "ce-causationid": "own",
    }
    assert found == own
    assert response.json() == "text"


def test_none_is_no_reply(both: Served) -> None:
    response = post(both, "none", "none")
    assert (response.status_code, response.content) == (204, b"")


def test_an_exception_is_a_500_and_the_event_is_delivered_again(both: Served) -> None:
    for _ in range(2):
        error = error_of(post(both, "crash", "crash"), 500)
        assert (error["code"], error["details"]) == ("function_crashed", {"exception": "KeyError"})
    (calls,) = both.log.parent.glob("main.py.calls")
    assert calls.read_text() == "xx"


def test_events_above_their_limit_occupy_the_threads_of_requests_until_they_return(both: Served) -> None:
    with ThreadPoolExecutor(2) as callers:
        answers = list(callers.map(lambda number: post(both, number, "wait"), ["wait-1", "wait-2"]))
    assert {error_of(each, 504)["code"] for each in answers} == {"function_timed_out"}
    error = error_of(both.get("/"), 503)
    assert (error["code"], error["details"]["threads"]) == ("function_stuck", 2)
    (main,) = both.log.parent.glob("main.py")
    Path(f"{main}.go").touch()
    until(both, "/healthz/live")
    assert both.get("/").text == "request /"


def test_a_decorated_target_gets_events_and_no_requests(alone: Served) -> None:
    assert post(alone, "1").json() == {"a": 1}
    assert alone.get("/").status_code == 405
    with alone.client() as client:
        assert client.post("/", json={"a": 1}).status_code == 400


def test_a_target_of_the_old_signature_gets_data_and_context(old: Served) -> None:
    assert post(old, "1").json() == {"data": '{"a": 1}', "id": "1", "type": "t"}


def test_a_file_whose_function_cannot_get_events_is_not_ready(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(BOTH)
    settings = {"FUNCTION_SOURCE": str(tmp_path / "main.py"), "SCALEZERO_EVENT_TARGET": "on_events"}
    with serving(tmp_path, ready=False, env=settings) as served:
        for response in (post(served, "1"), served.get("/")):
            error = error_of(response, 503)
            assert error["code"] == "function_failed"
            assert "it has no function 'on_events'; set SCALEZERO_EVENT_TARGET" in error["message"]
