"""Structured mode. Source: JSON event format, sections 2 and 3."""

import base64

import numpy as np
import orjson
import pytest
from hypothesis import given

from runtime.errors import BadEvent
from runtime.protocols.cloudevents import NO_DOCUMENT, Event, Mode, read_message, read_slices, write_structured
from runtime.protocols.json.slices import WINDOW
from tests.runtime.protocols.cloudevents.events import MINIMAL, events, finish, request

TYPE = (b"content-type", b"application/cloudevents+json")


def parse(body: bytes) -> Event:
    return read_message([TYPE], body, Mode.STRUCTURED)


def read(**members: object) -> Event:
    return parse(orjson.dumps({**MINIMAL, **members}))


def test_members_are_attributes() -> None:
    assert read(subject="a", ext="b") == Event("1", "/s", "t", {"subject": "a", "ext": "b"})


def test_null_means_absent() -> None:
    event = read(datacontenttype=None, dataschema=None, subject=None, time=None, ext=None, data_base64=None)
    assert event == Event("1", "/s", "t")


@pytest.mark.parametrize(
    ("value", "text"), [(True, "true"), (False, "false"), (10, "10"), (-(2**31), "-2147483648"), ("a", "a")]
)
def test_an_extension_has_its_canonical_string(value: object, text: str) -> None:
    assert read(ext=value).attributes == {"ext": text}


@pytest.mark.parametrize("value", [1.5, 2**31, -(2**31) - 1, [], {"a": 1}, 1e3])
def test_an_extension_of_another_type_is_refused(value: object) -> None:
    with pytest.raises(BadEvent, match=r"event ext: got .* expected a string, true, false, or an integer of 32 bits"):
        read(ext=value)


@pytest.mark.parametrize("name", ["id", "source", "type", "subject", "time", "datacontenttype", "dataschema"])
@pytest.mark.parametrize("value", [25, True, {"xyz": "abc"}])
def test_an_attribute_of_the_specification_is_a_string(name: str, value: object) -> None:
    with pytest.raises(BadEvent, match=rf"event {name}: got .* expected a string$"):
        read(**{name: value})


@pytest.mark.parametrize("name", ["id", "source", "type"])
@pytest.mark.parametrize("value", [None, ""])
def test_a_required_attribute_is_present_and_not_empty(name: str, value: str | None) -> None:
    with pytest.raises(BadEvent, match=rf"event {name}: got .* it is a required attribute"):
        read(**{name: value})


@pytest.mark.parametrize("version", [None, "", "0.3", "1.1", "1"])
def test_only_version_1_0_is_read(version: str | None) -> None:
    with pytest.raises(BadEvent, match=r'event specversion: got .* expected "1.0", the only version'):
        read(specversion=version)


@pytest.mark.parametrize("name", ["MyExtension", "my.extension", "a_b", "", "é"])
def test_a_name_has_only_lower_case_letters_and_digits(name: str) -> None:
    with pytest.raises(BadEvent, match="expected letters a to z and digits"):
        read(**{name: "bad"})


def test_a_string_has_no_control_characters() -> None:
    with pytest.raises(BadEvent, match=r"event id: got U\+000A at character 1"):
        read(id="a\n")


@pytest.mark.parametrize("value", [{"a": [1]}, [], "text", 1, 0.5, True, None])
@pytest.mark.parametrize("content_type", [None, "application/json", "application/x+json;a=b", "x/JSON"])
def test_data_of_a_json_type_is_the_json_value(content_type: str | None, value: object) -> None:
    event = read(datacontenttype=content_type, data=value)
    assert event.document == value
    assert event.has_document
    assert event.content_type == (content_type or "application/json")
    assert orjson.loads(event.body()) == value


@pytest.mark.parametrize(
    ("content_type", "data"),
    [
        ("application/xml", b'<much wow="\xc3\xa9"/>'),
        ("text/plain; charset=UTF-8", "é".encode()),
        ("text/plain; charset=ISO-8859-1", b"\xe9"),
        ('text/plain;Charset="utf-16"', "é".encode("utf-16")),
    ],
)
def test_data_of_another_type_is_a_text_in_its_character_set(content_type: str, data: bytes) -> None:
    text = '<much wow="é"/>' if "xml" in content_type else "é"
    event = read(datacontenttype=content_type, data=text)
    assert (event.data, event.body(), event.document) == (data, data, NO_DOCUMENT)


@pytest.mark.parametrize(
    ("content_type", "value", "got"),
    [
        ("text/plain", {"a": 1}, "an object"),
        ("image/png", None, "null"),
        ("text/plain; charset=us-ascii", "é", "a text that is not us-ascii"),
        ("text/plain; charset=idna", "a", "a text that is not idna"),
    ],
)
def test_data_that_its_type_cannot_have_is_refused(content_type: str, value: object, got: str) -> None:
    with pytest.raises(BadEvent, match=rf"event data: got {got}; expected .*data_base64"):
        read(datacontenttype=content_type, data=value)


@pytest.mark.parametrize("content_type", [None, "image/png", "application/json"])
def test_data_base64_is_bytes_of_any_type(content_type: str | None) -> None:
    event = read(datacontenttype=content_type, data_base64=base64.b64encode(b"\xff{").decode())
    assert (event.data, event.document) == (b"\xff{", NO_DOCUMENT)
    assert event.content_type == (content_type or "application/json")


@pytest.mark.parametrize("encoded", ["a", "ab=", "YQ==\n", "Y Q=", "é===", "YQ==YQ==", 1, ["YQ=="]])
def test_invalid_base64_is_refused(encoded: object) -> None:
    with pytest.raises(BadEvent, match=r"event data_base64: got .* expected a string of base64"):
        read(data_base64=encoded)


@pytest.mark.parametrize("data", [None, "text"])
def test_both_kinds_of_data_are_refused(data: object) -> None:
    with pytest.raises(BadEvent, match="event data: got data and data_base64; expected one of the two"):
        read(data=data, data_base64="YQ==")


@pytest.mark.parametrize("content_type", ["", "xyz", "a/b/c"])
def test_a_datacontenttype_is_a_media_type(content_type: str) -> None:
    with pytest.raises(BadEvent, match=r"event datacontenttype: got .* expected a media type"):
        read(datacontenttype=content_type)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"1", b"\xff", b'{"id": NaN}', b'{"id": "\\ud800"}'])
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    with pytest.raises(BadEvent, match=r"^event body: got .* expected a JSON"):
        parse(body)
    with pytest.raises(BadEvent, match=r"^event body: got .* expected a JSON"):
        finish(read_slices(request([TYPE], body)))


def test_a_large_body_is_read_in_steps_with_arrays_instead_of_lists_of_numbers() -> None:
    numbers = [each + 0.5 for each in range(WINDOW)]
    body = orjson.dumps({**MINIMAL, "data": {"inputs": [numbers]}})
    steps = read_slices(request([TYPE], body))
    assert sum(1 for _ in steps) > len(body) // WINDOW // 2
    event = finish(read_slices(request([TYPE], body)))
    assert isinstance(event.document["inputs"], np.ndarray)
    assert orjson.loads(event.body()) == {"inputs": [numbers]}


def test_large_base64_is_decoded_in_steps() -> None:
    data = bytes(range(256)) * 4000
    body = orjson.dumps({**MINIMAL, "data_base64": base64.b64encode(data).decode()})
    assert finish(read_slices(request([TYPE], body))).data == data
    broken = base64.b64encode(data[: 3 * 65536 - 1]) + base64.b64encode(data)
    with pytest.raises(BadEvent, match="expected a string of base64"):
        finish(read_slices(request([TYPE], orjson.dumps({**MINIMAL, "data_base64": broken.decode()}))))


def test_a_binary_event_of_any_size_is_read_in_no_step() -> None:
    headers = [(b"ce-specversion", b"1.0"), (b"ce-id", b"1"), (b"ce-source", b"/s"), (b"ce-type", b"t")]
    assert list(read_slices(request(headers, b"x"))) == []


@given(events())
def test_an_event_is_read_as_it_was_written(event: Event) -> None:
    assert parse(write_structured(event)) == event


@pytest.mark.parametrize(
    ("content_type", "data", "members"),
    [
        ("application/json", b' {"a": 1.50}\n', {"data": {"a": 1.5}}),
        ("application/json", b"{", {"data_base64": "ew=="}),
        ("text/plain", b"a", {"data": "a"}),
        ("text/plain", b"\xff", {"data_base64": "/w=="}),
        ("text/plain; charset=us-ascii", b"a", {"data_base64": "YQ=="}),
        ("application/octet-stream", b"a", {"data_base64": "YQ=="}),
        (None, b"a", {"data_base64": "YQ==", "datacontenttype": "application/octet-stream"}),
        ("text/plain", b"", {}),
    ],
)
def test_data_is_written_as_its_type_allows(content_type: str | None, data: bytes, members: dict[str, object]) -> None:
    written = orjson.loads(write_structured(Event("1", "/s", "t", {}, content_type, data)))
    typed = {} if content_type is None else {"datacontenttype": content_type}
    assert written == {**MINIMAL, **typed, **members}


@pytest.mark.parametrize("name", ["A" * 100_000, "a" * 100_000])
def test_an_error_shows_part_of_a_long_name(name: str) -> None:
    with pytest.raises(BadEvent) as refused:
        read(**{name: []})
    assert len(str(refused.value)) < 500
