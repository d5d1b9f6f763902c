"""Binary mode. Source: HTTP protocol binding, section 3.1."""

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import BadEvent
from runtime.http.messages import Headers
from runtime.protocols.cloudevents import Event, read, write_binary
from runtime.protocols.cloudevents.binary import decoded, encoded
from tests.runtime.protocols.cloudevents.events import HEADERS, request, texts


def header(value: bytes) -> Headers:
    return [*HEADERS, (b"ce-x", value)]


def value_of(value: bytes) -> str:
    return read(request(header(value))).attributes["x"]


def test_headers_are_attributes_and_the_body_is_the_data() -> None:
    headers = [*HEADERS, (b"ce-subject", b"a"), (b"host", b"h"), (b"content-type", b"text/plain"), (b"x-ce-y", b"z")]
    assert read(request(headers, b"data")) == Event("1", "/s", "t", {"subject": "a"}, "text/plain", b"data")


def test_an_event_without_data_has_no_content_type() -> None:
    assert read(request(HEADERS)) == Event("1", "/s", "t")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        (b"euro%20%e2%82%ac", "euro €"),
        (b"%41%2d", "A-"),
        (b"%2520", "%20"),
        (b'"a b \\"c\\" \\\\"', 'a b "c" \\'),
        (b'"a%20b"', "a b"),
        (b'a"b', 'a"b'),
        (b'"', '"'),
        (b'""', ""),
        (b"", ""),
        (b'"a" b "c"', '"a" b "c"'),
        (b'"a\\"', '"a\\"'),
        ('Euro € "q" 100% %41'.encode(), 'Euro € "q" 100% A'),  # as Knative sends it
        (b"100%", "100%"),
        (b"5%zz", "5%zz"),
        (b"a b", "a b"),
        ("é".encode(), "é"),
    ],
)
def test_a_value_is_unquoted_and_then_decoded_once(value: bytes, text: str) -> None:
    assert value_of(value) == text


@pytest.mark.parametrize("value", [b"%C0%A0", b"%ff", b"\xe9", b"%ED%A0%80", b"%F4%90%80%80"])
def test_invalid_utf_8_is_refused(value: bytes) -> None:
    with pytest.raises(BadEvent, match=r"event ce-x: got .* expected valid UTF-8"):
        value_of(value)


@pytest.mark.parametrize("value", [b"a%00", b"\t", b"%7f", b"%C2%85", b"%EF%B7%90", b"%F0%9F%BF%BF"])
def test_control_characters_and_non_characters_are_refused(value: bytes) -> None:
    with pytest.raises(BadEvent, match=r"event ce-x: got U\+[0-9A-F]{4,5} at character"):
        value_of(value)


@given(texts)
def test_a_value_is_encoded_in_printable_ascii_and_read_back(text: str) -> None:
    value = encoded(text)
    assert all(0x21 <= byte <= 0x7E and byte != ord('"') for byte in value)
    assert decoded(value, "x") == text


@given(texts)
def test_only_what_the_specification_lists_is_encoded_in_upper_case(text: str) -> None:
    kept = "".join(map(chr, range(0x21, 0x7F))).translate({ord('"'): None, ord("%"): None})
    assert encoded(text) == quote(text, safe=kept).encode()


@given(texts)
def test_a_value_that_is_encoded_without_need_is_accepted(text: str) -> None:
    assert decoded("".join(f"%{byte:02x}" for byte in text.encode()).encode(), "x") == text


@given(texts)
def test_a_value_is_decoded_only_once(text: str) -> None:
    once = encoded(text).decode()
    assert decoded(encoded(once), "x") == once


def test_a_ce_datacontenttype_header_is_refused() -> None:
    with pytest.raises(BadEvent, match="ce-datacontenttype: got this header; expected the type of the data in Content"):
        read(request([*HEADERS, (b"ce-datacontenttype", b"text/plain")]))


@pytest.mark.parametrize("name", [b"ce-my_ext", b"ce-a-b", b"ce-", b"ce-\xe9", b"ce-A", b"ce-data"])
def test_a_name_with_other_characters_than_letters_and_digits_is_refused(name: bytes) -> None:
    with pytest.raises(BadEvent, match=r"^event ce-"):
        read(request([*HEADERS, (name, b"v")]))


@pytest.mark.parametrize("name", ["id", "source", "type"])
@pytest.mark.parametrize("headers", [[], [b""]], ids=["missing", "empty"])
def test_a_required_attribute_is_present_and_not_empty(name: str, headers: list[bytes]) -> None:
    wanted = f"ce-{name}".encode()
    rest = [each for each in HEADERS if each[0] != wanted]
    with pytest.raises(BadEvent, match=rf"event ce-{name}: got .* it is a required attribute"):
        read(request([*rest, *((wanted, value) for value in headers)]))


@pytest.mark.parametrize("version", [b"0.3", b"1.1", b"", b"1"])
def test_only_version_1_0_is_read(version: bytes) -> None:
    with pytest.raises(BadEvent, match=r'event ce-specversion: got .* expected "1.0", the only version'):
        read(request([(b"ce-specversion", version), *HEADERS[1:]]))


def test_a_missing_version_is_named() -> None:
    with pytest.raises(BadEvent, match="event ce-specversion: got nothing"):
        read(request(HEADERS[1:]))


@pytest.mark.parametrize("name", [b"ce-id", b"ce-x"])
def test_two_headers_of_one_attribute_are_refused(name: bytes) -> None:
    with pytest.raises(BadEvent, match="got two headers"):
        read(request([*HEADERS, (name, b"1"), (name, b"1")]))


@pytest.mark.parametrize(
    "content_type", [b"", b"xyz", b"a/", b"a b/c", b"text/plain\x0b", b"text/plain;\r\nx:y", b"text/plain; a=\xe9"]
)
def test_a_content_type_is_a_media_type(content_type: bytes) -> None:
    with pytest.raises(BadEvent, match=r"event Content-Type: got .* expected a media type"):
        read(request([*HEADERS, (b"content-type", content_type)]))


@given(st.dictionaries(st.sampled_from(["a", "b1", "subject"]), texts.filter(bool)), st.binary(max_size=5))
def test_an_event_is_read_as_it_was_written(attributes: dict[str, str], data: bytes) -> None:
    event = Event("é 1", "/a b", 't"', attributes, "text/x; a=b", data)
    headers, body = write_binary(event)
    assert read(request(headers, body)) == event


def test_a_document_is_written_as_json() -> None:
    headers, body = write_binary(Event("1", "/s", "t", document={"a": None}))
    assert ((b"content-type", b"application/json") in headers, body) == (True, b'{"a":null}')
