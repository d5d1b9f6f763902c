"""Reads the event of a request, in any mode and of any size.

A small event whose head is like that of an earlier one is read fast: only what varies is read again.
"""

from typing import Final

from runtime.errors import BadEvent
from runtime.frontends import content
from runtime.frontends.events.recognizing import NAME
from runtime.http.messages import Request
from runtime.protocols import cloudevents
from runtime.protocols.cloudevents import Event, Mode, binary, is_json, s3_notifications
from runtime.protocols.json import slices

_BINARY: Final = Mode.BINARY
_NO_EVENT: Final = (
    "the header ce-specversion with the other attributes, or the content type application/cloudevents+json"
)


def read_like(request: Request) -> Event | None:
    """Return an event whose head is like that of an earlier one, apart from the id and the like; None: it is not."""
    memo = request.memo
    other: Event | None = None if memo is None else memo.get(NAME)
    return None if other is None else binary.read_like(other, request.varying, request.body)  # type: ignore[arg-type]


def read_small(request: Request, mode: Mode) -> Event:
    """Read an event at once, and note what events with a head like this one have in common. Raises `BadEvent`."""
    if mode is not _BINARY:
        return cloudevents.read(request)
    event = binary.read(request.headers, request.body)
    memo = request.memo
    if memo is not None and NAME not in memo:
        varying = {header for header, _ in request.varying}
        constant = {name: value for name, value in event.attributes.items() if f"ce-{name}".encode() not in varying}
        memo[NAME] = event._replace(attributes=constant, data=b"")
    return event


def with_trace(event: Event, request: Request) -> Event:
    """Return the event with the trace of its request if it has none: a Broker sends only the header `traceparent`."""
    trace = request.header(b"traceparent")
    if trace is None or "traceparent" in event.attributes or not trace.isascii():
        return event
    return event._replace(attributes={**event.attributes, "traceparent": trace.decode()})


async def read(request: Request, mode: Mode | None) -> Event:
    """Return the event of a request of any size. Raises `BadEvent`, `InvalidInput` and `UnsupportedContentType`."""
    if mode is None:
        return await _read_notification(request)
    return await content.run_slices(cloudevents.read_slices(request))


async def _read_notification(request: Request) -> Event:
    """Return the event of a request that has no attributes: a store's notification, as MinIO posts it."""
    kind = request.header(b"content-type")
    if kind is None or not is_json(kind.decode("latin-1")):
        got = "no event" if kind is None else f"no event, and the content type {kind[:80].decode('latin-1')!r}"
        raise BadEvent("headers", got=got, expected=_NO_EVENT)
    document = await content.run_slices(slices.parse(request.body))
    if not s3_notifications.is_notification(document):
        got = "JSON that is neither an event nor an S3 event notification"
        raise BadEvent("headers", got=got, expected=_NO_EVENT)
    return s3_notifications.event_of(document)
