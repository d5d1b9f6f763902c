"""From the response to a posted event to what is printed. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import orjson

from runtime.errors import BadEvent
from runtime.prediction_log.delivery import DeliveryResult, result_of
from runtime.protocols.cloudevents import Event, Mode, mode_of_type, read_batch, read_message, write_structured

_SHOWN: Final = 2000  # bytes of data or of an answer, as text


class Received(NamedTuple):
    """The response, and the seconds from the start of the request to its end."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes
    seconds: float


class Reply(NamedTuple):
    """What the response contains."""

    received: Received
    events: Sequence[Event]
    note: str | None  # what a Broker would make of it, if that is not obvious

    @property
    def exit_code(self) -> int:
        """0 for a 2xx status, otherwise 1."""
        return 0 if result_of(self.received.status) is DeliveryResult.DELIVERED else 1


def interpret(received: Received) -> Reply:
    """Read the events of a response, in any mode."""
    headers, body = received.headers, received.body
    result = result_of(received.status)
    if result is DeliveryResult.RETRY:
        return Reply(received, (), "a Broker would send the event again")
    if result is DeliveryResult.REJECTED:
        return Reply(received, (), "a Broker would not send the event again, but send it to the dead letter sink")
    pairs = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    mode = mode_of_type(headers.get("content-type", "").encode("latin-1"))
    if mode is None and not any(name.startswith("ce-") for name in headers):
        note = "no event: a Broker would refuse this answer, and send the event again" if body else None
        return Reply(received, (), note)
    try:
        events = read_batch(body) if mode is Mode.BATCHED else [read_message(pairs, body, mode)]
    except BadEvent as fault:
        return Reply(received, (), f"the reply is not valid: {fault.message}")
    return Reply(received, events, None)


def as_text(reply: Reply) -> str:
    """Return the reply for people."""
    return "\n".join(_lines(reply))


def _lines(reply: Reply) -> Iterator[str]:
    received = reply.received
    yield f"{received.status} {received.reason}".rstrip() + f" in {received.seconds * 1e3:.1f} ms"
    if not reply.events and not received.body:
        yield "no reply event"
    for event in reply.events:
        yield from _event_lines(event)
    if not reply.events and received.body:
        yield _text(received.body, received.headers.get("content-type"))
    if reply.note:
        yield f"({reply.note})"


def _event_lines(event: Event) -> Iterator[str]:
    facts = {"type": event.type, "source": event.source, "id": event.id, **event.attributes}
    if event.content_type:
        facts["datacontenttype"] = event.content_type
    width = max(map(len, facts))
    for name, value in facts.items():
        yield f"  {name:{width}}  {value}"
    if body := event.body():
        yield _text(body, event.content_type)


def _text(body: bytes, content_type: str | None) -> str:
    """Return JSON with indentation, other text as it is, and the size of anything else."""
    try:
        text = orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2).decode()
    except orjson.JSONDecodeError:
        try:
            text = body.decode()
        except UnicodeDecodeError:
            return f"{len(body)} bytes of {content_type or 'no stated type'}"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}... ({len(body)} bytes)"


def as_document(reply: Reply) -> dict[str, Any]:
    """Return the reply for programs; `answer` is the body if it is no event."""
    received = reply.received
    document: dict[str, Any] = {
        "status": received.status,
        "milliseconds": round(received.seconds * 1e3, 3),
        "events": [orjson.loads(write_structured(each)) for each in reply.events],
    }
    if not reply.events and received.body:
        try:
            document["answer"] = orjson.loads(received.body)
        except orjson.JSONDecodeError:
            document["answer"] = received.body.decode("utf-8", "replace")
    if reply.note:
        document["note"] = reply.note
    return document
