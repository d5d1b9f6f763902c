"""Batched mode. Source: HTTP protocol binding, section 3.3."""

from collections.abc import Callable

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import BadEvent
from runtime.protocols.cloudevents import Event, read_batch, read_batch_slices, write_batch
from runtime.protocols.json.slices import WINDOW
from tests.runtime.protocols.cloudevents.events import MINIMAL, events, finish


@given(st.lists(events(), max_size=3))
def test_a_batch_is_read_as_it_was_written(batch: list[Event]) -> None:
    body = write_batch(batch)
    assert read_batch(body) == batch
    assert finish(read_batch_slices(body)) == batch


def test_an_empty_batch_is_valid() -> None:
    assert read_batch(b"[]", b"application/cloudevents-batch+json") == []
    assert write_batch([]) == b"[]"


@pytest.mark.parametrize("body", [b"", b"{}", b"[", b"null", b"[1,]"])
def test_a_body_that_is_no_json_list_is_refused(body: bytes) -> None:
    with pytest.raises(BadEvent, match="event body: got"):
        read_batch(body)
    with pytest.raises(BadEvent, match="event body: got"):
        finish(read_batch_slices(body))


def test_one_invalid_event_refuses_the_batch_and_every_invalid_one_is_listed() -> None:
    batch = [MINIMAL, {**MINIMAL, "id": ""}, "text", MINIMAL, {**MINIMAL, "specversion": "0.9"}]
    with pytest.raises(BadEvent, match=r"^event \[1\].id: got an empty string") as refused:
        read_batch(orjson.dumps(batch))
    details = refused.value.details
    assert details["field"] == "[1].id"
    assert details["invalid_count"] == 3
    assert [(each["index"], each["message"].split(":")[0]) for each in details["invalid"]] == [  # type: ignore[attr-defined] # a list of objects
        (1, "event [1].id"),
        (2, "event [2]"),
        (4, "event [4].specversion"),
    ]


def test_the_list_of_invalid_events_is_bounded() -> None:
    with pytest.raises(BadEvent) as refused:
        read_batch(b"[%b]" % b",".join([b"{}"] * 1000))
    assert refused.value.details["invalid_count"] == 1000
    assert len(refused.value.details["invalid"]) == 20  # type: ignore[arg-type] # a list


def test_a_large_batch_is_read_in_steps() -> None:
    batch = [Event(str(number), "/s", "t", {}, "image/png", b"x" * 10) for number in range(1000)]
    batch.append(Event("large", "/s", "t", {}, "image/png", bytes(600_000)))
    body = write_batch(batch)
    steps = read_batch_slices(body)
    pauses = sum(1 for _ in steps)
    assert pauses > 10 + len(body) // WINDOW
    assert finish(read_batch_slices(body)) == batch


@pytest.mark.parametrize(
    "read", [read_batch, lambda body: finish(read_batch_slices(body))], ids=["at once", "in steps"]
)
def test_the_place_of_invalid_base64_is_named(read: Callable[[bytes], list[Event]]) -> None:
    long = {**MINIMAL, "data_base64": "YQ==" * 100_000}
    with pytest.raises(BadEvent, match=r"event \[1\].data_base64: got") as refused:
        read(orjson.dumps([MINIMAL, long, {**MINIMAL, "data_base64": "!"}]))
    assert refused.value.details["invalid_count"] == 2
