"""Events and the author's function: its event target answers them, else the model, else its HTTP function."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests import models
from tests.runtime.frontends.conftest import Served, counts, error_of, serving
from tests.runtime.frontends.events.conftest import document, event_headers, headers, new_id, post, post_document

HTTP = (
    "def handle(request):\n    return {'http': request.headers.get('ce-id'), 'body': request.get_data(as_text=True)}\n"
)
EVENTS = """
import functions_framework
from cloudevents.http import CloudEvent
from runtime.author import model
from runtime.errors import InvalidInput

calls = []

def on_event(event):
    calls.append(event["id"])
    kind = event["type"]
    if kind == "none":
        return None
    if kind == "own":
        return CloudEvent({"type": "com.example.own", "source": "/mine", "subject": "s"}, {"n": 1})
    if kind == "bad":
        raise InvalidInput("amount", got="-1", expected="0 or more")
    if kind == "crash":
        raise ValueError("a secret")
    if kind == "model":
        return {"outputs": model("m").predict([event.data]).outputs["y"].tolist()}
    return {"calls": calls.count(event["id"])}
"""


def write(folder: Path, text: str) -> str:
    (folder / "main.py").write_text(text)
    return str(folder / "main.py")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A function with a target for requests and one for events, and a model."""
    folder = tmp_path_factory.mktemp("served")
    env = {"FUNCTION_SOURCE": write(folder, HTTP + EVENTS), "SCALEZERO_EVENT_TARGET": "on_event", "K_SERVICE": "shop"}
    with serving(folder, models.doubling(folder / "m.onnx"), env=env) as served:
        yield served


def test_the_event_target_answers_events_and_the_http_function_all_other_requests(served: Served) -> None:
    answer = post(served)
    assert answer.json() == {"calls": 1}
    found = event_headers(answer)
    assert (found["type"], found["source"]) == ("ml.prediction.v1", "shop")
    with served.client() as client:
        assert client.post("/", content=b"x").json() == {"http": None, "body": "x"}
    assert counts(served)["cloudevents", "ok", "none"] >= 1


def test_a_function_is_called_once_for_an_event_that_is_delivered_again(served: Served) -> None:
    head = headers()
    with ThreadPoolExecutor(5) as callers:
        answers = list(callers.map(lambda _: post(served, head=head), range(5)))
    assert all(each.json() == {"calls": 1} for each in [*answers, post(served, head=head)])
    assert len({event_headers(each)["id"] for each in answers}) == 1


def test_what_the_function_returns_is_the_reply(served: Served) -> None:
    own = post(served, head=headers(of=(event_id := new_id()), type="own"))
    found = event_headers(own)
    assert (found["type"], found["source"], found["subject"]) == ("com.example.own", "/mine", "s")
    assert found["causationid"] == event_id
    assert own.json() == {"n": 1}
    structured = post_document(served, document(type="own")).json()
    assert (structured["source"], structured["data"]) == ("/mine", {"n": 1})
    nothing = post(served, head=headers(type="none"))
    assert (nothing.status_code, nothing.content) == (204, b"")
    assert post(served, head=headers(type="model"), body=b"[1, 2]").json() == {"outputs": [[2, 4]]}


def test_an_error_of_the_author_refuses_the_event_and_a_crash_is_retried(served: Served) -> None:
    error = error_of(post(served, head=headers(type="bad")), 400)
    assert error["details"]["field"] == "amount"
    head = headers(type="crash")
    crashed = post(served, head=head)
    assert error_of(crashed, 500)["code"] == "function_crashed"
    assert "a secret" not in crashed.text
    assert event_headers(crashed) == {}
    assert counts(served)["cloudevents", "function_crashed", "server"] == 1


def test_the_model_answers_events_if_the_function_has_no_target_for_them(tmp_path: Path) -> None:
    env = {"FUNCTION_SOURCE": write(tmp_path, HTTP)}
    with serving(tmp_path, models.doubling(tmp_path / "m.onnx"), ready=False, env=env) as served:
        assert post(served).json()["outputs"] == [2, 4]  # waits for the import, which decides
        assert post(served, path="/events").json()["outputs"] == [2, 4]
        with served.client() as client:
            assert client.post("/", content=b"x").json() == {"http": None, "body": "x"}
            assert client.get("/events/of/the/function").json()["http"] is None


def test_a_function_without_a_model_and_a_target_gets_events_as_requests(tmp_path: Path) -> None:
    env = {"FUNCTION_SOURCE": write(tmp_path, HTTP)}
    with serving(tmp_path, ready=False, env=env) as served:
        assert post(served, head=headers(of="5"), body=b"x").json() == {"http": "5", "body": "x"}
        assert "SCALEZERO_EVENT_TARGET" in error_of(post(served, path="/events"), 400)["message"]


def test_a_function_that_cannot_be_imported_is_retried(tmp_path: Path) -> None:
    env = {"FUNCTION_SOURCE": write(tmp_path, "import missing\n")}
    with serving(tmp_path, models.doubling(tmp_path / "m.onnx"), ready=False, env=env) as served:
        for path in ("/", "/events"):
            answer = post(served, path=path)
            assert error_of(answer, 503)["code"] == "function_failed"
            assert int(answer.headers["retry-after"]) >= 1
