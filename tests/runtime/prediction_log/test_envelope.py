"""The attributes of a logged event: both modes give the event that the readers of CloudEvents read."""

import pytest

from runtime.prediction_log.envelope import Envelope, Stamp
from runtime.protocols.cloudevents import Event, Mode, read_message

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
EXTENSIONS = {"team": "risk & ä", "note": "50 %"}


def events(envelope: Envelope, stamp: Stamp) -> list[Event]:
    """Return the event in binary and in structured mode, with the data {}."""
    lines = envelope.headers(stamp).decode("ascii").splitlines()
    headers = [(name.encode(), value.encode()) for name, value in (line.split(": ", 1) for line in lines)]
    return [
        read_message(headers, b"{}", Mode.BINARY),
        read_message([], envelope.structured(stamp, b"{}"), Mode.STRUCTURED),
    ]


@pytest.mark.parametrize("trace", [None, TRACE])
def test_both_modes_have_the_same_attributes(trace: str | None) -> None:
    envelope = Envelope(type="t", source="/s/models/%C3%A4", subject="ä/1", extensions=EXTENSIONS)
    expected = {"subject": "ä/1", "time": "2026-11-29T22:32:12.759795Z", **EXTENSIONS}
    if trace:
        expected["traceparent"] = trace
    for event in events(envelope, Stamp("a-1", b"2026-11-29T22:32:12.759795Z", trace)):
        assert (event.id, event.source, event.type) == ("a-1", "/s/models/%C3%A4", "t")
        assert event.content_type == "application/json"
        assert event.body() == b"{}"
        assert event.attributes == expected


@pytest.mark.parametrize("trace", ["", "x", TRACE.upper(), f"{TRACE}\r\nhost: x", 'a"b'])
def test_an_invalid_trace_is_left_out(trace: str) -> None:
    envelope = Envelope(type="t", source="/s", subject="m", extensions={})
    for event in events(envelope, Stamp("1", b"2026-11-29T22:32:12Z", trace)):
        assert "traceparent" not in event.attributes


def test_an_override_of_the_trace_wins() -> None:
    envelope = Envelope(type="t", source="/s", subject="m", extensions={"traceparent": "fixed"})
    for event in events(envelope, Stamp("1", b"2026-11-29T22:32:12Z", TRACE)):
        assert event.attributes["traceparent"] == "fixed"
