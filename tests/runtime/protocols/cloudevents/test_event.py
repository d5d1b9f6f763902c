"""Tests of the properties of an event."""

import pytest

from runtime.protocols.cloudevents import Event, is_json


def test_the_key_is_the_source_and_the_id() -> None:
    assert Event("1", "/s", "t").key == ("/s", "1")


def test_the_payload_is_the_data_or_the_document_as_json() -> None:
    assert Event("1", "/s", "t", data=b"d").body() == b"d"
    assert Event("1", "/s", "t", document=None).body() == b"null"


@pytest.mark.parametrize(
    "content_type", ["application/json", "APPLICATION/JSON", "a/b+json", "text/json ; a=b", "x/Y+JSON;z"]
)
def test_a_json_type_is_known_by_its_subtype(content_type: str) -> None:
    assert is_json(content_type)


@pytest.mark.parametrize("content_type", [None, "", "json", "application/jsonx", "application/x;a=/json", "json/x"])
def test_another_type_is_not_json(content_type: str | None) -> None:
    assert not is_json(content_type)
