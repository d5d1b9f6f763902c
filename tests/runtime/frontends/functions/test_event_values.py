"""Events in the author's types, compared with what functions-framework itself passes to a function."""

import json
from datetime import UTC, datetime
from typing import Any, NamedTuple

import flask
import numpy as np
import pytest
from cloudevents.http import CloudEvent
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import BadEvent, EventDeferred, EventRefused, InvalidAnswer
from runtime.frontends.functions.event_data import EventData
from runtime.frontends.functions.event_values import cloud_event, data_and_context, of_response, reply_of
from runtime.frontends.functions.stepwise_json import with_numpy
from runtime.protocols.cloudevents import Event, write_binary

EVENT = Event("1", "/s", "t", {"subject": "a", "time": "2026-04-05T17:31:00Z", "n": "5"}, "application/json", b"[1]")
OLD = pytest.mark.filterwarnings("ignore:is_binary is deprecated")  # functions-framework itself calls it
STORAGE = Event(
    "7",
    "//storage.googleapis.com/projects/_/buckets/b",
    "google.cloud.storage.object.v1.finalized",
    {"subject": "objects/k.txt", "time": "2026-04-05T17:31:00Z"},
    "application/json",
    b'{"kind": "storage#object", "name": "k.txt"}',
)


class Pair(NamedTuple):
    a: int
    b: int


def dumps(value: object) -> str:
    return json.dumps(value, default=with_numpy(_refuse))


def _refuse(value: object) -> object:
    raise TypeError(type(value).__name__)


def framework_event(event: Event) -> CloudEvent:
    """Return the event as functions-framework passes it on after it has read it in binary mode."""
    from cloudevents.http import from_http

    headers, body = write_binary(event)
    return from_http({name.decode(): value.decode() for name, value in headers}, body)


def background(event: Event) -> tuple[Any, Any]:
    """Return what functions-framework passes to a function of two parameters for an event in binary mode."""
    from functions_framework import event_conversion

    headers, body = write_binary(event)
    request = flask.Request.from_values(
        method="POST", headers=[(k.decode(), v.decode()) for k, v in headers], data=body
    )
    return event_conversion.cloud_event_to_background_event(request)


@given(
    data=st.binary(max_size=30)
    | st.recursive(st.none() | st.booleans() | st.text(), st.lists).map(json.dumps).map(str.encode)
)
def test_a_function_gets_what_functions_framework_passes_on(data: bytes) -> None:
    event = EVENT._replace(data=data)
    passed, expected = cloud_event(event), framework_event(event)
    assert passed.get_attributes() == expected.get_attributes()
    assert repr(passed.get_data()) == repr(expected.get_data())  # NaN does not equal itself


def test_the_data_of_a_structured_event_is_its_json_value() -> None:
    assert cloud_event(EVENT._replace(data=b"", document={"a": [1]})).get_data() == {"a": [1]}
    assert cloud_event(EVENT._replace(data=b"", document=None)).get_data() is None


def test_an_event_without_data_has_none() -> None:
    assert cloud_event(EVENT._replace(data=b"", content_type=None)).get_data() is None


@OLD
def test_a_function_of_two_parameters_gets_an_event_of_google_cloud_as_its_background_event() -> None:
    data, context = data_and_context(STORAGE)
    expected, expected_context = background(STORAGE)
    assert data == expected
    assert vars(context) == vars(expected_context)


@OLD
def test_a_function_of_two_parameters_gets_the_data_of_another_event_and_its_attributes() -> None:
    data, context = data_and_context(EVENT)
    assert data == b"[1]"
    assert (context.event_id, context.timestamp) == ("1", "2026-04-05T17:31:00Z")
    assert (context.event_type, context.resource) == ("t", "/s")
    assert data_and_context(EVENT._replace(document=[1], data=b""))[0] == [1]


@OLD
def test_an_event_that_functions_framework_cannot_convert_is_rejected() -> None:
    with pytest.raises(BadEvent, match=r"google\.cloud\.storage\.object\.v1\.finalized"):
        data_and_context(STORAGE._replace(data=b"[]"))


@pytest.mark.parametrize(
    ("result", "reply"),
    [
        (None, None),
        (b"\x00", EventData("application/octet-stream", b"\x00")),
        (bytearray(b"a"), EventData("application/octet-stream", b"a")),
        ("é", EventData("text/plain; charset=utf-8", "é".encode())),
        ({"a": 1}, EventData("application/json", b'{"a": 1}')),
        ([1, "a"], EventData("application/json", b'[1, "a"]')),
        (False, EventData("application/json", b"false")),
        (0.5, EventData("application/json", b"0.5")),
        (np.float32(0.5), EventData("application/json", b"0.5")),
        ({"y": np.arange(2)}, EventData("application/json", b'{"y": [0, 1]}')),
        (Pair(1, 2), EventData("application/json", b'{"a": 1, "b": 2}')),
    ],
)
def test_a_value_is_the_data_of_a_reply(result: object, reply: EventData | None) -> None:
    assert reply_of(result, dumps) == reply


@pytest.mark.parametrize(
    ("content_type", "data", "written"),
    [
        (None, {"a": 1}, ("application/json", b'{"a": 1}')),
        (None, "text", ("application/json", b'"text"')),
        (None, b"\x00", (None, b"\x00")),
        (None, None, (None, b"")),
        ("application/json", "text", ("application/json", b'"text"')),
        ("text/csv", "a,b", ("text/csv", b"a,b")),
        ("image/png", b"\x89", ("image/png", b"\x89")),
        ("application/x+json", np.arange(2), ("application/x+json", b"[0, 1]")),
    ],
)
def test_a_cloud_event_is_the_reply_as_it_is(
    content_type: str | None, data: object, written: tuple[str | None, bytes]
) -> None:
    attributes: dict[str, Any] = {
        "id": "9",
        "source": "/me",
        "type": "done",
        "time": datetime(2026, 4, 5, tzinfo=UTC),
        "n": 5,
        "b": True,
    }
    if content_type:
        attributes["datacontenttype"] = content_type
    reply = reply_of(CloudEvent(attributes, data), dumps)
    others = {"time": "2026-04-05T00:00:00+00:00", "n": "5", "b": "true"}
    assert reply == Event("9", "/me", "done", others, *written)


@given(
    subject=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='%"'), min_size=1),
    data=st.recursive(st.booleans() | st.text(min_size=1), st.lists) | st.dictionaries(st.text(), st.integers()),
)
def test_a_receiver_reads_the_event_that_the_function_returned(subject: str, data: Any) -> None:  # noqa: ANN401 - JSON
    attributes = {"source": "/me", "type": "done", "subject": subject, "datacontenttype": "application/json"}
    returned = CloudEvent(attributes, data)
    reply = reply_of(returned, dumps)
    assert isinstance(reply, Event)
    assert framework_event(reply) == returned


@pytest.mark.parametrize(
    ("attributes", "part"),
    [
        ({"bad_name": "x"}, "attribute bad_name"),
        ({"n": 1.5}, "attribute n"),
        ({"time": "yesterday"}, "attribute time"),
        ({"id": ""}, "attribute id"),
        ({"specversion": "0.3"}, "attribute specversion"),
    ],
)
def test_an_invalid_cloud_event_is_an_invalid_answer(attributes: dict[str, Any], part: str) -> None:
    with pytest.raises(InvalidAnswer, match=f"{part} of the CloudEvent: got"):
        reply_of(CloudEvent({"type": "t", "source": "/s", **attributes}), dumps)


@pytest.mark.parametrize(
    ("response", "reply"),
    [
        (flask.Response(b"", 200), None),
        (flask.Response(b"", 204), None),
        (flask.Response(b"\x89", 200, mimetype="image/png"), EventData("image/png", b"\x89")),
        (flask.Response(b"{}", 201, mimetype="application/json"), EventData("application/json", b"{}")),
    ],
)
def test_a_response_is_the_data_of_a_reply(response: flask.Response, reply: EventData | None) -> None:
    assert of_response(response) == reply


@pytest.mark.parametrize("status", [408, 409, 429, 500, 502, 503])
def test_a_status_that_knative_retries_asks_for_another_delivery(status: int) -> None:
    with pytest.raises(EventDeferred, match=f"status {status}, which asks for another delivery: busy") as raised:
        of_response(flask.Response("busy", status, {"retry-after": "7"}))
    assert raised.value.retry_after == 7


@pytest.mark.parametrize("status", [301, 400, 401, 404, 410, 422])
def test_any_other_status_refuses_the_event(status: int) -> None:
    with pytest.raises(EventRefused, match=f"status {status}: no picture"):
        of_response(flask.Response("no\npicture", status))


def test_the_reason_has_no_html_and_no_bytes() -> None:
    for response in (flask.Response("<h1>no</h1>", 400), flask.Response(b"\x00", 400, mimetype="image/png")):
        with pytest.raises(EventRefused) as raised:
            of_response(response)
        assert raised.value.message == "the function refused the event with status 400"


def test_a_retry_after_that_is_a_date_is_left_out() -> None:
    with pytest.raises(EventDeferred) as raised:
        of_response(flask.Response("", 503, {"retry-after": "Fri, 31 Dec 1999 23:59:59 GMT"}))
    assert raised.value.retry_after is None
