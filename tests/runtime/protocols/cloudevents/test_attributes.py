"""The rules of context attributes, which are the same in binary and in structured mode."""

from collections.abc import Callable

import orjson
import pytest

from runtime.errors import BadEvent
from runtime.protocols.cloudevents import Event, Mode, read, read_message
from tests.runtime.protocols.cloudevents.events import HEADERS, MINIMAL, request

Reader = Callable[[str, str], Event]


def binary(name: str, value: str) -> Event:
    return read(request([*HEADERS, (f"ce-{name}".encode(), value.encode())]))


def structured(name: str, value: str) -> Event:
    return read_message([], orjson.dumps({**MINIMAL, name: value}), Mode.STRUCTURED)


both = pytest.mark.parametrize("read_with", [binary, structured])


@both
@pytest.mark.parametrize(
    "time",
    [
        "2018-04-05T17:31:00Z",
        "2018-04-05t17:31:00z",
        "2018-04-05T17:31:00.000000000Z",
        "2018-04-05T18:31:00+01:00",
        "2024-02-29T00:00:00-23:59",
        "2016-12-31T23:59:60Z",
    ],
)
def test_a_time_is_kept_as_it_is(read_with: Reader, time: str) -> None:
    assert read_with("time", time).attributes["time"] == time


@both
@pytest.mark.parametrize(
    "time",
    [
        "",
        "lunchtime",
        "2018-04-05T18:31Z",
        "2018-04-05T18:31:00",
        "2018-04-05T18:31:00X",
        "2018-04-05T18:31:00+25:00",
        "2018-04-05T18:31:00+05",
        "2018-04-05T24:00:00Z",
        "2018-04-05T17:31:00.Z",
        "2018-02-30T17:31:00Z",
        "2018-13-01T17:31:00Z",
        "2018-00-01T17:31:00Z",
        "2018-01-00T17:31:00Z",
        "2018-01-32T17:31:00Z",
        "2023-02-29T17:31:00Z",
        "２０18-04-05T17:31:00Z",  # noqa: RUF001 - digits of another script
    ],
)
def test_a_time_that_rfc_3339_does_not_allow_is_refused(read_with: Reader, time: str) -> None:
    with pytest.raises(BadEvent, match=r"time: got .* expected a timestamp as RFC 3339 defines it"):
        read_with("time", time)


@both
@pytest.mark.parametrize("schema", ["https://cloudevents.io/schema", "urn:x:y", "a+b.c-1:z"])
def test_a_dataschema_is_an_absolute_uri(read_with: Reader, schema: str) -> None:
    assert read_with("dataschema", schema).attributes["dataschema"] == schema


@both
@pytest.mark.parametrize("schema", ["", "#/definitions/x", "/a:b", "1x:y"])
def test_a_relative_dataschema_is_refused(read_with: Reader, schema: str) -> None:
    with pytest.raises(BadEvent, match=r"dataschema: got .* expected an absolute URI"):
        read_with("dataschema", schema)


@both
def test_an_empty_subject_is_refused(read_with: Reader) -> None:
    with pytest.raises(BadEvent, match="subject: got an empty string"):
        read_with("subject", "")


@both
def test_an_extension_may_be_empty(read_with: Reader) -> None:
    assert read_with("ext", "").attributes == {"ext": ""}


def test_an_error_names_the_attribute_and_shows_part_of_a_long_value() -> None:
    with pytest.raises(BadEvent) as refused:
        binary("time", "x" * 10_000)
    assert refused.value.details["field"] == "ce-time"
    assert len(str(refused.value)) < 300
