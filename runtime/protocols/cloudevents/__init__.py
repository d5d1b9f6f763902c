"""CloudEvents 1.0.2 over HTTP: events in binary, structured and batched mode. Pure.

event        one event, independent of its mode
mode         the mode of a request
binary, structured, batch   the modes, each read and written
reply        what a reply has in common with its event
attributes   the rules that context attributes obey in all modes; timestamps: the attribute `time` of many events
data         the inputs of a model in an event's data; octets: as the bytes of a tensor
s3_notifications, seaweedfs   objects that a store has changed
"""

from collections.abc import Generator, Iterable

from runtime.http.messages import Headers, Request
from runtime.protocols.cloudevents import batch, binary, structured
from runtime.protocols.cloudevents.event import NO_DOCUMENT, Event, is_json
from runtime.protocols.cloudevents.mode import BATCH_TYPE, STRUCTURED_TYPE, Mode, check_format, mode_of, mode_of_type

__all__ = [
    "BATCH_TYPE",
    "NO_DOCUMENT",
    "STRUCTURED_TYPE",
    "Event",
    "Mode",
    "check_format",
    "is_json",
    "mode_of",
    "mode_of_type",
    "read",
    "read_batch",
    "read_batch_slices",
    "read_message",
    "read_slices",
    "write_batch",
    "write_binary",
    "write_structured",
]


def read(request: Request) -> Event:
    """Return the event of a request in binary or structured mode.

    Raises `BadEvent`, and `UnsupportedContentType` if a structured event is not JSON.
    """
    return read_message(request.headers, request.body, mode_of_type(request.header(b"content-type")))


def read_message(headers: Headers, body: bytes, mode: Mode | None) -> Event:
    """Return the event of a request or a response, as `read` does; the names of the headers are in lower case."""
    if mode is not Mode.STRUCTURED:
        return binary.read(headers, body)
    check_format(dict(headers).get(b"content-type"))
    return structured.read(body)


def read_slices(request: Request) -> Generator[None, None, Event]:
    """Read an event with a body of any size, as `read` does, in steps of a few milliseconds."""
    content_type = request.header(b"content-type")
    if mode_of_type(content_type) is not Mode.STRUCTURED:
        return binary.read(request.headers, request.body)
    check_format(content_type)
    return (yield from structured.read_slices(request.body))


def read_batch(body: bytes, content_type: bytes | None = None) -> list[Event]:
    """Return the events of a body in batched mode.

    Raises `BadEvent` if one of them is invalid, and `UnsupportedContentType` if the type is given and is not JSON.
    """
    check_format(content_type)
    return batch.read(body)


def read_batch_slices(body: bytes, content_type: bytes | None = None) -> Generator[None, None, list[Event]]:
    """Read a batch of any size, as `read_batch` does, in steps of a few milliseconds."""
    check_format(content_type)
    return (yield from batch.read_slices(body))


def write_binary(event: Event) -> tuple[Headers, bytes]:
    """Return the headers, with `content-type` if the event states one, and the body."""
    return binary.write(event)


def write_structured(event: Event) -> bytes:
    """Return the body; its content type is `STRUCTURED_TYPE`."""
    return structured.write(event)


def write_batch(events: Iterable[Event]) -> bytes:
    """Return the body of several events; its content type is `BATCH_TYPE`."""
    return batch.write(events)
