"""A real SeaweedFS reports its changes to the bridge, which posts an event for each object to a sink."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest
from cloudevents.http import CloudEvent, from_http

from runtime.author.events import objects
from tests import ROOT, s3_server
from tests.runtime.frontends.conftest import Served, free_port, serving
from tests.waiting import DEADLINE

BRIDGE = ROOT / "scripts" / "bridges" / "seaweedfs.py"
BUCKET = "bridged"


@dataclass
class Sink:
    """A receiver of events, which answers each with the next of `statuses`, and then with 202."""

    url: str
    events: SimpleQueue[CloudEvent] = field(default_factory=SimpleQueue)
    statuses: list[int] = field(default_factory=list)

    def next(self, number: int) -> dict[str, CloudEvent]:
        """Return the next events by the keys of their objects, which SeaweedFS reports in any order."""
        received = [self.events.get(timeout=DEADLINE) for _ in range(number)]
        return {each["subject"]: each for each in received}


@contextmanager
def receiving() -> Iterator[Sink]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            made.events.put(from_http(self.headers, body))
            self.send_response(made.statuses.pop(0) if made.statuses else 202)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made = Sink(f"http://127.0.0.1:{server.server_port}/")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield made
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    with receiving() as sink:
        yield sink


@pytest.fixture(scope="module")
def bridge(sink: Sink, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """The bridge as a function without a model, with the environment of a SinkBinding."""
    env = {"FUNCTION_SOURCE": str(BRIDGE), "K_SINK": sink.url}
    overrides = json.dumps({"extensions": {"team": "risk"}})
    with serving(tmp_path_factory.mktemp("bridge"), env={**env, "K_CE_OVERRIDES": overrides}) as served:
        yield served


@pytest.fixture(scope="module")
def store(bridge: Served) -> Iterator[s3_server.S3Server]:
    """A SeaweedFS whose filer reports its changes to the bridge."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WEED_NOTIFICATION_WEBHOOK_ENABLED", "true")
        patch.setenv("WEED_NOTIFICATION_WEBHOOK_ENDPOINT", bridge.url + "/")
        with s3_server.running() as server:
            server.make_bucket(BUCKET)
            yield server


def entry(key: str) -> dict[str, Any]:
    attributes = {"file_size": 5, "mtime": 1_795_992_127, "mime": "text/plain"}
    name = key.rpartition("/")[2]
    return {"key": f"/buckets/{BUCKET}/{key}", "message": {"new_entry": {"name": name, "attributes": attributes}}}


def test_each_stored_and_removed_object_is_an_event(store: s3_server.S3Server, sink: Sink) -> None:
    client = store.client()
    for key in ("in/a b+é.txt", "empty"):
        client.put_object(Bucket=BUCKET, Key=key, Body=b"" if key == "empty" else b"hello", ContentType="text/plain")
    received = sink.next(2)
    assert set(received) == {"in/a b+é.txt", "empty"}
    for event in received.values():
        (found,) = objects(event)
        assert found.key in ("in/a b+é.txt", "empty")
        assert (found.bucket, found.size) == (BUCKET, 0 if found.key == "empty" else 5)
        assert event["type"] == "com.amazonaws.s3.ObjectCreated:Put"
        assert event["source"].endswith(f".{BUCKET}")
        assert event["team"] == "risk"
    client.delete_object(Bucket=BUCKET, Key="empty")
    (removed,) = sink.next(1).values()
    assert removed["type"] == "com.amazonaws.s3.ObjectRemoved:Delete"
    assert objects(removed) == []


def test_a_repeated_notification_has_the_same_id(bridge: Served, sink: Sink) -> None:
    with bridge.client() as client:
        for _ in range(2):
            assert client.post("/", json=entry("k")).status_code == 204
    first, second = (sink.events.get(timeout=DEADLINE) for _ in range(2))
    assert first["id"] == second["id"]


def test_a_change_that_is_no_object_is_not_passed_on(bridge: Served, sink: Sink) -> None:
    folder = entry("in")
    folder["message"]["new_entry"]["is_directory"] = True
    with bridge.client() as client:
        assert client.post("/", json=folder).status_code == 204
        assert client.post("/", json=entry("after")).status_code == 204
    assert set(sink.next(1)) == {"after"}


@pytest.mark.parametrize("status", [400, 503])
def test_a_notification_that_the_sink_does_not_accept_is_502(bridge: Served, sink: Sink, status: int) -> None:
    sink.statuses.append(status)
    with bridge.client() as client:
        response = client.post("/", json=entry("k"))
    assert response.status_code == 502
    assert response.text.startswith(f"the sink answered {status} to the event ")
    sink.next(1)


def test_a_body_of_another_form_is_400(bridge: Served) -> None:
    with bridge.client() as client:
        assert client.post("/", json={"a": 1}).status_code == 400


def test_without_a_sink_the_bridge_is_not_ready(tmp_path: Path) -> None:
    env = {"FUNCTION_SOURCE": str(BRIDGE), "K_SINK": "ftp://sink"}
    with serving(tmp_path, ready=False, env=env) as served:
        response = served.get("/")
        assert response.status_code == 503
        assert "K_SINK" in served.log.read_text()


def test_a_sink_that_cannot_be_reached_is_502(tmp_path: Path) -> None:
    env = {"FUNCTION_SOURCE": str(BRIDGE), "K_SINK": f"http://127.0.0.1:{free_port()}/"}
    with serving(tmp_path, env=env) as served, served.client() as client:
        response = client.post("/", json=entry("k"))
    assert (response.status_code, response.text[:27]) == (502, "the sink cannot be reached:")
