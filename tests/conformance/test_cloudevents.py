"""Events between the runtime and npm's package cloudevents, in both directions: as messages, and to a real server.

The package neither encodes nor decodes the values of headers, so events in binary mode have plain values here.
"""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from runtime.http.messages import Headers
from runtime.protocols.cloudevents import (
    BATCH_TYPE,
    STRUCTURED_TYPE,
    Event,
    mode_of_type,
    read_message,
    write_batch,
    write_binary,
    write_structured,
)
from tests import models
from tests.conformance import programs
from tests.runtime.frontends.conftest import Served, serving
from tests.runtime.http.h2_client import calling
from tests.runtime.protocols.cloudevents.events import HEADERS

PINS = ("cloudevents@10.0.0",)
TIME = {"time": "2026-04-05T17:31:00.000Z"}
PLAIN = [
    Event("1", "/py?a=b", "t", {**TIME, "subject": "s/1"}, "application/json", b'{"inputs":[[1,2.5]]}'),
    Event("2", "/py", "t", {**TIME, "ext": "1"}, "text/plain", b"hello"),
    Event("3", "/py", "t", TIME),
]
ANY = [
    *PLAIN,
    Event("4 \N{EURO SIGN}", "/py", "t", {**TIME, "subject": '"100 %" \N{GRINNING FACE}'}, "application/json", b"[]"),
    Event("5", "/py", "t", TIME, "application/octet-stream", b"\x00\xff"),
    Event("6", "/py", "t", TIME, "application/json", document={"a": None}),
]


@pytest.fixture(scope="module")
def package() -> Any:  # noqa: ANN401 - JSON
    """Run the package once, with all messages that it reads."""
    messages = [
        *(_message(*write_binary(event)) for event in PLAIN),
        *(_message([(b"content-type", STRUCTURED_TYPE)], write_structured(event)) for event in ANY),
        _message([(b"content-type", BATCH_TYPE)], write_batch(ANY)),
    ]
    return _run("translate", json.dumps(messages))


def test_the_package_reads_events_in_binary_mode(package: Any) -> None:  # noqa: ANN401 - JSON
    without_data = {**_members(PLAIN[2]), "data": ""}
    assert package["read"][: len(PLAIN)] == [*map(_members, PLAIN[:2]), without_data]


def test_the_package_reads_events_in_structured_mode(package: Any) -> None:  # noqa: ANN401 - JSON
    assert package["read"][len(PLAIN) : -1] == [*map(_members, ANY)]


def test_the_package_reads_events_in_batched_mode(package: Any) -> None:  # noqa: ANN401 - JSON
    assert package["read"][-1] == [*map(_members, ANY)]


@pytest.mark.parametrize("mode", ["binary", "structured"])
def test_events_of_the_package_are_read(package: Any, mode: str) -> None:  # noqa: ANN401 - JSON
    events = [_event(each) for each in package[mode]]
    assert [event.key for event in events] == [("/js", str(number)) for number in range(1, 5)]
    assert [event.attributes for event in events] == [
        TIME,
        {**TIME, "subject": "s", "flag": "true", "count": "7"},
        TIME,
        TIME,
    ]
    assert [event.body() for event in events] == [b'{"inputs":[[1,2.5]]}', "\N{EURO SIGN}".encode(), b"\x00\xff", b""]
    types = [(event.content_type or "application/json").partition(";")[0] for event in events]
    assert types == ["application/json", "text/plain", "application/octet-stream", "application/json"]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A real server of the model y = 2 x, with two numbers per row."""
    folder = tmp_path_factory.mktemp("served")
    with serving(folder, models.doubling(folder / "m.onnx")) as served:
        yield served


def test_the_package_reads_the_replies_of_a_server(served: Served) -> None:
    answers = _run("emit", str(served.port))
    assert {mode: (each["causationid"], each["data"]["outputs"]) for mode, each in answers.items()} == {
        "binary": ("binary", [[2, 5]]),
        "structured": ("structured", [[2, 5]]),
    }
    assert {each["type"] for each in answers.values()} == {"ml.prediction.v1"}


# As Knative's Broker forwards them: it does not encode the values of headers.
RAW = {b"ce-id": '4 é 100% "q"'.encode(), b"ce-subject": "Euro \N{EURO SIGN}".encode()}
EVENT = {**dict(HEADERS), **RAW, b"content-type": b"application/json"}


def test_raw_header_values_are_read_over_http_1(served: Served) -> None:
    with served.client() as client:
        answer = client.post("/", content=b"[1, 2.5]", headers=list(EVENT.items()))
    assert answer.headers["ce-causationid"] == "4%20%C3%A9%20100%25%20%22q%22"


def test_raw_header_values_are_read_over_http_2(served: Served) -> None:
    fields = [(name.decode(), value.decode()) for name, value in EVENT.items()]
    with calling(served.port) as caller:
        answer = caller.answer(caller.ask("/", b"[1, 2.5]", fields=fields))
    assert (b"ce-causationid", b"4%20%C3%A9%20100%25%20%22q%22") in answer.headers


def _run(*arguments: str) -> Any:  # noqa: ANN401 - JSON
    command, variables = programs.node("cloudevents_npm.js", *PINS)
    return programs.run([*command, *arguments], **variables)


def _message(headers: Headers, body: bytes) -> dict[str, Any]:
    named = {name.decode(): value.decode() for name, value in headers}
    return {"headers": named, "body": base64.b64encode(body).decode()}


def _event(message: Any) -> Event:  # noqa: ANN401 - JSON
    headers = [
        (name.lower().encode(), (str(value).lower() if isinstance(value, bool) else str(value)).encode())
        for name, value in message["headers"].items()
    ]
    mode = mode_of_type(dict(headers).get(b"content-type"))
    return read_message(headers, base64.b64decode(message["body"]), mode)


def _members(event: Event) -> dict[str, Any]:
    """Return the event as JSON, as its receiver sees it."""
    members: dict[str, Any] = json.loads(write_structured(event))
    return members
