"""Whatever arrives is refused with `BadEvent` or `UnsupportedContentType`, or is an event that can be written again."""

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import BadEvent, UnsupportedContentType
from runtime.http.messages import Headers
from runtime.protocols.cloudevents import (
    Event,
    Mode,
    read,
    read_batch,
    read_message,
    read_slices,
    write_batch,
    write_binary,
    write_structured,
)
from tests.runtime.protocols.cloudevents.events import MINIMAL, finish, json_documents, request

known = st.sampled_from([b"ce-id", b"ce-source", b"ce-type", b"ce-specversion", b"ce-time", b"ce-x", b"content-type"])
values = st.binary(max_size=12) | st.sampled_from([b"1.0", b"a%20b", b'"q"', b"application/cloudevents+json"])
headers = st.lists(st.tuples(known | st.binary(max_size=6).map(lambda name: b"ce-" + name), values), max_size=8)
members = st.dictionaries(
    st.sampled_from([*MINIMAL, "data", "data_base64", "datacontenttype", "time", "x", "X"]), json_documents
)


def check(event: Event) -> None:
    """Check that the event can be written and read again in each mode."""
    written, body = write_binary(event)
    content_type = dict(written).get(b"content-type")
    again = read_message(written, body, None)
    assert (again.key, again.type, again.attributes, again.body()) == (
        event.key,
        event.type,
        event.attributes,
        event.body(),
    )
    assert content_type is None or again.content_type == event.content_type
    again = read_message([], write_structured(event), Mode.STRUCTURED)
    assert (again.key, again.type, again.attributes) == (event.key, event.type, event.attributes)
    assert read_batch(write_batch([event])) == [again]


@given(headers, st.binary(max_size=40))
def test_any_headers_and_body(found: Headers, body: bytes) -> None:
    for parse in (read, lambda each: finish(read_slices(each))):
        try:
            event = parse(request(found, body))
        except (BadEvent, UnsupportedContentType):
            continue
        check(event)


@given(headers, st.binary(max_size=40))
def test_any_headers_beside_the_required_ones(found: Headers, body: bytes) -> None:
    complete = [(f"ce-{name}".encode(), value.encode()) for name, value in MINIMAL.items()]
    names = dict(complete)
    try:
        event = read_message([*complete, *(each for each in found if each[0] not in names)], body, Mode.BINARY)
    except BadEvent:
        return
    check(event)


@given(members, st.booleans())
def test_any_members(found: dict[str, Any], complete: bool) -> None:  # noqa: FBT001 - drawn by Hypothesis
    document = {**found, **MINIMAL} if complete else found
    body = orjson.dumps(document)
    for structured in (body, body[:-1], body + b" "):
        try:
            event = read_message([], structured, Mode.STRUCTURED)
        except BadEvent:
            continue
        check(event)


@given(st.binary(max_size=40) | st.lists(members, max_size=3).map(orjson.dumps))
def test_any_batch(body: bytes) -> None:
    try:
        events = read_batch(body)
    except BadEvent:
        return
    for event in events:
        check(event)
