"""`scalezero event send` against a real receiver: what it prints, and its exit code."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import pytest

from tests import models
from tests.runtime.frontends.conftest import COMMAND, serving
from tests.runtime.prediction_log.event_sink import closed_port
from tests.waiting import DEADLINE

EVENT = {"ce-specversion": "1.0", "ce-id": "2", "ce-source": "/m", "ce-type": "ml.prediction.v1", "ce-causationid": "1"}
JSON = {"content-type": "application/json"}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answers: ClassVar[dict[str, Answer]] = {
        "/event": Answer(200, EVENT | JSON, b'{"outputs":[1]}'),
        "/structured": Answer(
            200,
            {"content-type": "application/cloudevents+json"},
            b'{"specversion":"1.0","id":"2","source":"/m","type":"t","data":{"y":1}}',
        ),
        "/accepted": Answer(202, {}, b""),
        "/text": Answer(200, {"content-type": "text/plain"}, b"OK"),
        "/invalid": Answer(200, {"ce-specversion": "1.0"}, b""),
        "/refused": Answer(400, JSON, b'{"error":{"code":"bad_event","message":"event ce-id: got nothing"}}'),
        "/busy": Answer(503, JSON, b'{"error":{"code":"overloaded"}}'),
    }
    requests: ClassVar[list[tuple[dict[str, str], bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.requests.append(({name.lower(): value for name, value in self.headers.items()}, body))
        answer = self.answers[self.path.partition("?")[0]]
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def send(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [COMMAND, "event", "send", *arguments],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
        env={"PATH": "/usr/bin:/bin", "NO_PROXY": "*"},
        input="from stdin",
    )


def test_the_reply_event_is_printed_with_its_data(url: str) -> None:
    done = send(f"{url}/event?x=1", "--type", "t", "--data", '{"inputs": [1]}', "--header", "x-request-id: r")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("200 OK in ")
    for line in ("  type             ml.prediction.v1", "  causationid      1", '  "outputs": ['):
        assert line in done.stdout.splitlines()
    headers, body = Handler.requests[-1]
    assert (headers["ce-type"], headers["x-request-id"], headers["prefer"]) == ("t", "r", "reply")
    assert json.loads(body) == {"inputs": [1]}


def test_the_output_for_programs_is_json(url: str) -> None:
    done = send(f"{url}/structured", "-o", "json", "--data", "@-", "--content-type", "text/plain", "--structured")
    document: dict[str, Any] = json.loads(done.stdout)
    assert document["status"] == 200
    [event] = document["events"]
    assert (event["id"], event["data"]) == ("2", {"y": 1})
    assert json.loads(Handler.requests[-1][1])["data"] == "from stdin"


@pytest.mark.parametrize(
    ("path", "code", "expected"),
    [
        ("/accepted", 0, "no reply event"),
        ("/text", 0, "(no event: a Broker would refuse this answer, and send the event again)"),
        ("/invalid", 0, "(the reply is not valid: event ce-source: got nothing"),
        ("/refused", 1, "(a Broker would not send the event again, but send it to the dead letter sink)"),
        ("/busy", 1, "(a Broker would send the event again)"),
    ],
)
def test_the_exit_code_is_that_of_the_status(url: str, path: str, code: int, expected: str) -> None:
    done = send(f"{url}{path}")
    assert done.returncode == code
    assert expected in done.stdout


def test_without_an_answer_the_reason_is_one_line(url: str) -> None:
    with closed_port() as port:
        refused = send(f"http://127.0.0.1:{port}/")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.endswith("no connection (Connection refused)\n")
    wrong = send("broker/default")
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("scalezero: URL='broker/default': expected http://HOST")
    both = send(f"{url}/event", "--structured", "--batch")
    assert both.returncode == 2


def test_a_served_model_answers_an_event_with_its_prediction(tmp_path: Path) -> None:
    with serving(tmp_path, models.doubling(tmp_path / "m.onnx")) as served:
        done = send(f"{served.url}/events", "--id", "1", "--data", '{"inputs": [[1, 2]]}', "-o", "json")
        refused = send(f"{served.url}/events", "--data", '{"inputs": "x"}')
    [event] = json.loads(done.stdout)["events"]
    assert (event["type"], event["causationid"]) == ("ml.prediction.v1", "1")
    assert event["data"]["outputs"] == [[2.0, 4.0]]
    assert refused.returncode == 1
    assert "a Broker would not send the event again" in refused.stdout
