"""A reply names the event that it answers, and carries its trace on."""

from runtime.protocols.cloudevents import Event
from runtime.protocols.cloudevents.reply import traced

TRACE = {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "tracestate": "a=1"}


def test_a_reply_carries_the_trace_and_the_correlation_but_no_other_extension() -> None:
    asked = Event("7", "/asker", "asked", {**TRACE, "correlationid": "c", "subject": "s", "knativebrokerttl": "1"})
    assert traced(asked) == {"causationid": "7", "correlationid": "c", **TRACE}


def test_a_reply_to_an_event_without_extensions_has_only_its_cause() -> None:
    assert traced(Event("7", "/asker", "asked")) == {"causationid": "7"}
