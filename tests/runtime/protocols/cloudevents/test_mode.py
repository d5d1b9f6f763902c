"""The content type decides the mode, and its format must be JSON. Source: HTTP protocol binding, section 3."""

import pytest

from runtime.errors import UnsupportedContentType
from runtime.http.messages import Headers
from runtime.protocols.cloudevents import Mode, check_format, mode_of, read, read_batch
from tests.runtime.protocols.cloudevents.events import HEADERS, request


@pytest.mark.parametrize(
    ("content_type", "mode"),
    [
        (b"application/cloudevents+json", Mode.STRUCTURED),
        (b"application/cloudevents+json; charset=utf-8", Mode.STRUCTURED),
        (b"APPLICATION/CloudEvents+JSON", Mode.STRUCTURED),
        (b"application/cloudevents", Mode.STRUCTURED),
        (b"application/cloudevents+avro", Mode.STRUCTURED),
        (b"application/cloudevents-batch+json", Mode.BATCHED),
        (b"Application/CLOUDEVENTS-BATCH+json;charset=UTF-8", Mode.BATCHED),
        (b"application/cloudevent+json", None),
        (b"application/json", None),
        (b"text/application/cloudevents", None),
        (b"", None),
    ],
)
def test_the_prefix_of_the_content_type_decides_in_any_case(content_type: bytes, mode: Mode | None) -> None:
    assert mode_of(request([(b"content-type", content_type)])) is mode


@pytest.mark.parametrize("header", [b"ce-specversion", b"ce-id"])
@pytest.mark.parametrize("others", [[], [(b"content-type", b"application/json")]], ids=["alone", "typed"])
def test_a_ce_header_with_any_other_content_type_is_binary_mode(header: bytes, others: Headers) -> None:
    assert mode_of(request([(header, b"1"), *others])) is Mode.BINARY


def test_a_structured_content_type_wins_over_ce_headers() -> None:
    assert mode_of(request([*HEADERS, (b"content-type", b"application/cloudevents+json")])) is Mode.STRUCTURED


def test_a_request_without_both_carries_no_event() -> None:
    assert mode_of(request([(b"host", b"h"), (b"ce-type", b"t")])) is None


@pytest.mark.parametrize("content_type", [b"application/cloudevents+avro", b"application/cloudevents+xml; a=b"])
def test_a_format_other_than_json_is_refused(content_type: bytes) -> None:
    with pytest.raises(UnsupportedContentType, match=r"expected one of application/cloudevents\+json"):
        read(request([(b"content-type", content_type)], b"{}"))
    with pytest.raises(UnsupportedContentType):
        read_batch(b"[]", content_type.replace(b"cloudevents", b"cloudevents-batch"))


@pytest.mark.parametrize("content_type", [None, b"application/x", b"application/cloudevents ; a=b"])
def test_the_type_of_the_data_is_not_a_format(content_type: bytes | None) -> None:
    check_format(content_type)
