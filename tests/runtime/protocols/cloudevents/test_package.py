"""The package cloudevents and these translators understand each other.

The package does not encode the values of headers, and does not decode them. So in binary mode the values are plain.
"""

import base64
import json
from typing import Any

import orjson
import pytest
from cloudevents.conversion import to_binary, to_json, to_structured
from cloudevents.http import CloudEvent, from_http, from_json
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import BadEvent
from runtime.protocols.cloudevents import Event, Mode, read_message, write_binary, write_structured
from tests.runtime.protocols.cloudevents.events import events, json_documents, names, texts

plain = st.text(st.characters(codec="ascii", categories=("L", "N")), min_size=1, max_size=8)
RESERVED = {"extensions", "schema"}  # members of the package's own classes


def attributes(found: CloudEvent) -> dict[str, str]:
    return {name: str(value) for name, value in found.get_attributes().items() if value is not None}


def expected(event: Event) -> dict[str, str]:
    typed = {} if event.content_type is None else {"datacontenttype": event.content_type}
    required = {"specversion": "1.0", "id": event.id, "source": event.source, "type": event.type}
    return {**required, **event.attributes, **typed}


@given(events().filter(lambda event: not event.attributes.keys() & RESERVED))
def test_the_package_reads_structured_events(event: Event) -> None:
    found = from_json(write_structured(event), data_unmarshaller=lambda data: data)
    # The package adds the time of now to an event without one.
    assert {**attributes(found), "time": None} == {**expected(event), "time": None}
    data = found.get_data()
    if isinstance(data, str):  # the JSON text of `data`
        value = orjson.loads(data)
        assert value == (event.document if event.has_document else event.data.decode())
    else:
        assert (data or b"") == event.body()


@given(st.dictionaries(names.filter(lambda name: name not in RESERVED), texts, max_size=3), json_documents)
def test_structured_events_of_the_package_are_read(extensions: dict[str, str], document: Any) -> None:  # noqa: ANN401 - JSON
    given = CloudEvent({**extensions, "id": "1", "source": "/é %20", "type": "t"}, document)
    headers, body = to_structured(given)
    event = read_message([(b"content-type", headers["content-type"].encode())], body, Mode.STRUCTURED)
    assert (event.key, event.type) == (("/é %20", "1"), "t")
    assert {**event.attributes, "time": None} == {**extensions, "time": None}
    assert event.has_document == (document is not None)
    assert event.body() == (b"" if document is None else orjson.dumps(json.loads(json.dumps(document))))


def test_bytes_of_the_package_are_read() -> None:
    given = CloudEvent({"id": "1", "source": "/s", "type": "t", "datacontenttype": "image/png"}, b"\xff\x00")
    event = read_message([], to_json(given), Mode.STRUCTURED)
    assert (event.content_type, event.data) == ("image/png", b"\xff\x00")


@given(
    plain, st.binary(max_size=9), st.dictionaries(names.filter(lambda name: name not in RESERVED), plain, max_size=3)
)
def test_the_package_reads_binary_events(value: str, data: bytes, extensions: dict[str, str]) -> None:
    event = Event(value, f"/{value}", value, extensions, "application/octet-stream", data)
    headers, body = write_binary(event)
    named = {name.decode(): text.decode() for name, text in headers}
    found = from_http(named, body, data_unmarshaller=lambda each: each)
    assert {**attributes(found), "time": None} == {**expected(event), "time": None}
    assert (found.get_data() or b"") == data


@given(plain, st.binary(max_size=9))
def test_binary_events_of_the_package_are_read(value: str, data: bytes) -> None:
    members = {"id": value, "source": f"/{value}", "type": value, "ext": value, "datacontenttype": "image/png"}
    headers, body = to_binary(CloudEvent(members, data), data_marshaller=lambda each: each)
    event = read_message([(name.lower().encode(), text.encode()) for name, text in headers.items()], body, None)
    assert (event.key, event.type, event.content_type, event.data) == ((f"/{value}", value), value, "image/png", data)
    assert event.attributes["ext"] == value


@pytest.mark.parametrize("value", ["100%", "a b", 'say "x"', "é", "5%zz"])
def test_values_that_the_package_does_not_encode_are_read(value: str) -> None:
    headers, body = to_binary(CloudEvent({"id": "1", "source": "/s", "type": "t", "ext": value}))
    raw = [(name.encode(), text.encode()) for name, text in headers.items()]
    assert read_message(raw, body or b"", None).attributes["ext"] == value


@pytest.mark.parametrize(
    "members",
    [
        {"specversion": "0.3"},
        {"id": ""},
        {"id": 5},
        {"source": "a\nb"},
        {"time": "yesterday"},
        {"subject": ""},
        {"dataschema": "x y"},
        {"Ext_A": "x"},
        {"ext": {"a": 1}},
        {"data": 1, "data_base64": "AA=="},
        {"data_base64": "!!"},
    ],
)
def test_events_that_only_the_package_accepts_are_refused(members: dict[str, object]) -> None:
    body = orjson.dumps({"specversion": "1.0", "id": "1", "source": "/s", "type": "t", **members})
    assert from_json(body)["type"] == "t"
    with pytest.raises(BadEvent):
        read_message([], body, Mode.STRUCTURED)


def test_the_package_adds_a_time() -> None:
    body = orjson.dumps({"specversion": "1.0", "id": "1", "source": "/s", "type": "t"})
    assert from_json(body)["time"]
    assert "time" not in read_message([], body, Mode.STRUCTURED).attributes


def test_the_package_knows_the_base64_of_an_event() -> None:
    written = orjson.loads(write_structured(Event("1", "/s", "t", {}, "image/png", b"\xff")))
    assert written["data_base64"] == base64.b64encode(b"\xff").decode()
