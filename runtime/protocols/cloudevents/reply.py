"""What a reply has in common with the event that it answers.

It names the answered event in the extension `causationid`, and carries on its `correlationid` and its trace
(`traceparent`, `tracestate`). Sources: CloudEvents, extensions "Correlation" and "Distributed Tracing".
"""

from typing import Final

from runtime.protocols.cloudevents.event import Event

CAUSE: Final = "causationid"
CARRIED: Final = ("correlationid", "traceparent", "tracestate")


def traced(event: Event) -> dict[str, str]:
    """Return the attributes that connect a reply with its event."""
    return {CAUSE: event.id, **{name: event.attributes[name] for name in CARRIED if name in event.attributes}}
