"""The cases of the CloudEvents conformance repository: its feature for HTTP, and its JSON events and batches.

Source: cloudevents/conformance, features/http-protocol-binding.feature, format/json and yaml/v1.0.
"""

from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from runtime.errors import BadEvent
from runtime.http.messages import Headers
from runtime.protocols.cloudevents import Event, Mode, mode_of, read, read_batch, read_message
from tests.runtime.protocols.cloudevents.events import request

HELLO = b'{\n    "message": "Hello World!"\n}'
ATTRIBUTES = {
    "specversion": "1.0",
    "type": "com.example.someevent",
    "time": "2018-04-05T03:56:24Z",
    "id": "1234-1234-1234",
    "source": "/mycontext/subcontext",
}
CORE = {"specversion": "1.0", "type": "io.cloudevents.test", "source": "https://cloudevents.io"}
EXTENSIONS = {
    "extinteger": 10,
    "extboolean": True,
    "extstring": "text",
    "exturi": "https://cloudevents.io",
    "exturiref": "//authority/path",
    "exttimestamp": "2023-03-31T15:12:00Z",
    "extbinary": "TWE=",
}
ALL_CORE = {
    "datacontenttype": "text/plain",
    "dataschema": "https://cloudevents.io/dataschema",
    "subject": "tests",
    "time": "2018-04-05T17:31:00Z",
}


def attributes(event: Event) -> dict[str, str]:
    typed = {} if event.content_type is None else {"datacontenttype": event.content_type}
    return {"id": event.id, "source": event.source, "type": event.type, **event.attributes, **typed}


def headers(members: Mapping[str, str], content_type: str) -> Headers:
    named = [(f"ce-{name}".encode(), value.encode()) for name, value in members.items()]
    return [(b"host", b"example.com"), *named, (b"content-type", content_type.encode())]


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=utf-8"])
def test_binary_content_mode(content_type: str) -> None:
    message = request(headers(ATTRIBUTES, content_type), HELLO)
    assert mode_of(message) is Mode.BINARY
    event = read(message)
    expected = {name: value for name, value in ATTRIBUTES.items() if name != "specversion"}
    assert attributes(event) == {**expected, "datacontenttype": content_type}
    assert orjson.loads(event.body()) == {"message": "Hello World!"}


@pytest.mark.parametrize(
    "content_type", ["application/cloudevents+json", "application/cloudevents+json; charset=utf-8"]
)
def test_structured_content_mode(content_type: str) -> None:
    body = orjson.dumps({**ATTRIBUTES, "datacontenttype": "application/json", "data": {"message": "Hello World!"}})
    message = request([(b"content-type", content_type.encode())], body)
    assert mode_of(message) is Mode.STRUCTURED
    event = read(message)
    expected = {name: value for name, value in ATTRIBUTES.items() if name != "specversion"}
    assert attributes(event) == {**expected, "datacontenttype": "application/json"}
    assert orjson.loads(event.body()) == {"message": "Hello World!"}


@pytest.mark.parametrize(
    ("content_type", "data"),
    [
        ("text/plain; charset=us-ascii", "Hello, World!"),
        ("text/plain; charset=utf-8", "Hello, 🌎!"),
        ("application/json; charset=utf-8", '"Hello, 🌎!"'),
        ("application/json; charset=utf-8", '{"msg":"Hello, 🌎!"}'),
        ("application/json; charset=utf-8", '["Hello","🌎!"]'),
        ("application/xml; charset=utf-8", "<msg>Hello, 🌎!</msg>"),
    ],
)
def test_minimum_events(content_type: str, data: str) -> None:
    source = "//github.com/cloudevents/cloudeventsconformance/yaml/v1.yaml"
    required = {"specversion": "1.0", "type": "io.cloudevents.minimum", "id": "conformance-0001", "source": source}
    event = read(request(headers(required, content_type), data.encode()))
    assert event == Event("conformance-0001", source, "io.cloudevents.minimum", {}, content_type, data.encode())


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, {}),
        ({"datacontenttype": None, "dataschema": None, "subject": None, "time": None}, {}),
        (ALL_CORE, ALL_CORE),
        ({"time": "2018-04-05T17:31:00.000000000Z"}, {"time": "2018-04-05T17:31:00.000000000Z"}),
        ({"time": "2018-04-05T18:31:00+01:00"}, {"time": "2018-04-05T18:31:00+01:00"}),
        ({"time": "2018-04-05T16:31:00-01:00"}, {"time": "2018-04-05T16:31:00-01:00"}),
        ({"source": "#fragment"}, {"source": "#fragment"}),
        (EXTENSIONS, {**EXTENSIONS, "extinteger": "10", "extboolean": "true"}),
    ],
    ids=["minimal", "nulls", "all core", "nanoseconds", "positive", "negative", "relative source", "extensions"],
)
def test_valid_events(members: dict[str, Any], expected: dict[str, str]) -> None:
    event = read_message([], orjson.dumps({"id": "valid", **CORE, **members}), Mode.STRUCTURED)
    required = {"id": "valid", "type": "io.cloudevents.test", "source": "https://cloudevents.io"}
    assert attributes(event) == {**required, **expected}
    assert event.body() == b""


def test_simple_text_data() -> None:
    members = {"id": "simpleTextData", **CORE, "datacontenttype": "text/plain", "data": "Simple text"}
    assert read_message([], orjson.dumps(members), Mode.STRUCTURED).body() == b"Simple text"


INVALID = {
    "no specversion": {"specversion": None},
    "no id": {"id": None},
    "no type": {"type": None},
    "no source": {"source": None},
    "time garbage": {"time": "lunchtime"},
    "time to minute": {"time": "2018-04-05T18:31Z"},
    "time offset x": {"time": "2018-04-05T18:31:00X"},
    "time offset out of range": {"time": "2018-04-05T18:31:00+25:00"},
    "time offset non-integer": {"time": "2018-04-05T18:31:00+xx:00"},
    "time offset hour only": {"time": "2018-04-05T18:31:00+05"},
    "empty id": {"id": ""},
    "empty type": {"type": ""},
    "empty source": {"source": ""},
    "empty specversion": {"specversion": ""},
    "unknown specversion": {"specversion": "0.9"},
    "non-RFC-2046 datacontenttype": {"datacontenttype": "xyz"},
    "empty datacontenttype": {"datacontenttype": ""},
    "empty dataschema": {"dataschema": ""},
    "empty subject": {"subject": ""},
    "numeric id": {"id": 25},
    "object id": {"id": {"xyz": "abc"}},
    "capitalized extension": {"MyExtension": "bad"},
    "punctuated extension": {"my.extension": "bad"},
    "non-integer extension": {"myextension": 1.5},
    "data and data_base64": {"data": "text", "data_base64": "eyAieHl6IjogMTIzIH0="},
}


@pytest.mark.parametrize("members", INVALID.values(), ids=INVALID.keys())
def test_invalid_events(members: dict[str, Any]) -> None:
    given = {**CORE, "id": "invalid", **members}
    body = orjson.dumps({name: value for name, value in given.items() if value is not None})
    with pytest.raises(BadEvent):
        read_message([], body, Mode.STRUCTURED)


@pytest.mark.parametrize(
    "members", [[], [{}], [{}, {}], [{}, ALL_CORE], [{}, EXTENSIONS]], ids=["0", "1", "2", "all core", "extensions"]
)
def test_valid_batches(members: list[dict[str, Any]]) -> None:
    assert len(read_batch(orjson.dumps([{"id": "minimal", **CORE, **each} for each in members]))) == len(members)


@pytest.mark.parametrize(
    "batch",
    [
        [{"id": "minimal1", **CORE}, {"id": "minimal2", **CORE, "specversion": "0.9"}],
        [CORE],
        ["not an object", {"id": "minimal1", **CORE}],
    ],
    ids=["mixed versions", "invalid event", "no object"],
)
def test_invalid_batches(batch: list[Any]) -> None:
    with pytest.raises(BadEvent):
        read_batch(orjson.dumps(batch))
