"""Events as the author's function gets and returns them, in the types of the package cloudevents. Pure.

    cloud_event         an event -> CloudEvent, for a function of one parameter
    data_and_context    an event -> data and Context, for a function of the old signature with two parameters
    reply_of            what the function returns -> the reply

functions-framework reads data in binary mode as JSON if it can be parsed as such, and otherwise as bytes. Here that
holds for all modes, because a Broker delivers an event in another mode than the sender's.
Source of the contract: functions-framework 3.10, function signatures `cloudevent` and `event`.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from runtime.errors import BadEvent, EventDeferred, EventRefused, InvalidAnswer
from runtime.frontends.functions.event_data import EventData
from runtime.frontends.functions.stepwise_json import StepwiseDecoder
from runtime.protocols.cloudevents import Event, is_json, structured
from runtime.protocols.cloudevents.event import SPEC_VERSION
from runtime.status import is_delivered_again

if TYPE_CHECKING:
    import flask
    from cloudevents.abstract import CloudEvent

_JSON: Final = "application/json"
_TEXT: Final = "text/plain; charset=utf-8"
_BYTES: Final = "application/octet-stream"
_MAX_REASON: Final = 200  # characters
Dumps = Callable[[Any], str]  # encodes a value as JSON, as Flask does it for the function


class _Request(NamedTuple):
    """What functions-framework reads of a request when it converts an event."""

    headers: Mapping[str, str]
    body: bytes

    def get_data(self) -> bytes:
        return self.body


def cloud_event(event: Event) -> "CloudEvent":
    """Return the event as functions-framework passes it to a function of one parameter."""
    from cloudevents.http import CloudEvent

    return CloudEvent(_attributes(event), _data(event))


def data_and_context(event: Event) -> tuple[Any, Any]:
    """Return the event as functions-framework passes it to a function of two parameters.

    Events of Google Cloud become what its background functions get. Other events become their data, as bytes unless it
    was a JSON value, and a Context with the id, the time, the type and the source. Raises `BadEvent` for an event of
    Google Cloud that functions-framework cannot convert.
    """
    import functions_framework
    from functions_framework import event_conversion
    from functions_framework.exceptions import EventConversionException

    request = _Request({f"ce-{name}": value for name, value in _attributes(event).items()}, event.body())
    try:
        if event_conversion.is_convertable_cloud_event(request):
            return event_conversion.cloud_event_to_background_event(request)
    except EventConversionException as error:
        expected = f"the attributes and the data of an event of type {event.type[:_MAX_REASON]}"
        raise BadEvent("data", got="an event that cannot be converted", expected=expected) from error
    context = functions_framework.Context(  # type: ignore[attr-defined] # the owner of the type is in google.cloud
        eventId=event.id, timestamp=event.attributes.get("time", ""), eventType=event.type, resource=event.source
    )
    return event.document if event.has_document else event.data, context


def _attributes(event: Event) -> dict[str, str]:
    attributes = {"specversion": SPEC_VERSION, "id": event.id, "source": event.source, "type": event.type}
    if event.content_type is not None:
        attributes["datacontenttype"] = event.content_type
    return attributes | dict(event.attributes)


def _data(event: Event) -> Any:  # noqa: ANN401 - a JSON value, bytes or None
    value = event.document if event.has_document else _decoded(event.data)
    return None if value in ("", b"") else value  # as the package cloudevents does it


def _decoded(data: bytes) -> Any:  # noqa: ANN401 - as above
    try:
        return json.loads(data, cls=StepwiseDecoder)
    except (ValueError, RecursionError):  # not JSON, or not UTF-8
        return data


def reply_of(result: object, dumps: Dumps) -> Event | EventData | None:
    """Return the reply: a CloudEvent as it is, any other value as the data of a reply, None for no reply.

    Bytes and text become data of those types, every other value JSON. Raises `InvalidAnswer` for an invalid CloudEvent,
    and `TypeError` for a value that is no JSON.
    """
    from cloudevents.abstract import CloudEvent

    if result is None:
        return None
    if isinstance(result, CloudEvent):
        return _returned(result, dumps)
    if isinstance(result, (bytes, bytearray, memoryview)):
        return EventData(_BYTES, bytes(result))
    if isinstance(result, str):
        return EventData(_TEXT, result.encode())
    named = getattr(result, "_asdict", None)  # of a NamedTuple, which would otherwise become a list
    return EventData(_JSON, dumps(result if named is None else named()).encode())


def _returned(result: "CloudEvent", dumps: Dumps) -> Event:
    """Return a CloudEvent of the author as an event, with every attribute that it has and no other."""
    attributes = {name: _text(value) for name, value in result.get_attributes().items()}
    try:
        event = structured.event_of(attributes)
    except BadEvent as error:
        field, got, expected = (str(error.details[name]) for name in ("field", "got", "expected"))
        raise InvalidAnswer(f"attribute {field} of the CloudEvent", got=got, expected=expected) from error
    data = result.get_data()
    if data is None:
        return event
    if isinstance(data, (bytes, bytearray, memoryview)):
        return event._replace(data=bytes(data))
    if isinstance(data, str) and event.content_type is not None and not is_json(event.content_type):
        return event._replace(data=data.encode())
    return event._replace(content_type=event.content_type or _JSON, data=dumps(data).encode())


def _text(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value


def of_response(response: "flask.Response", reason: str | None = None) -> EventData | None:
    """Return the data of a reply that is a response of Flask; an empty body is no reply.

    Raises `EventDeferred` for the statuses after which Knative delivers an event again, and `EventRefused` for all
    others that are not 2xx. 404 refuses too: the function was found, so a further delivery would get the same answer.
    `reason` is the text of an HTTP exception.
    """
    status = response.status_code
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        body = response.get_data()
        return EventData(response.content_type or _BYTES, body) if body else None
    if status != HTTPStatus.NOT_FOUND and is_delivered_again(status):
        after = response.headers.get("retry-after", "")
        seconds = int(after) if after.isascii() and after.isdigit() else None
        raise EventDeferred(status, reason or _said(response), retry_after=seconds)
    raise EventRefused(status, reason or _said(response))


def _said(response: "flask.Response") -> str | None:
    """Return the start of a response's text, on one line; None for HTML and other types."""
    if response.mimetype not in (_JSON, "text/plain") and not (
        response.mimetype == "text/html" and _is_plain(response)
    ):
        return None
    text = " ".join(response.get_data(as_text=True).split())
    return text[:_MAX_REASON] or None


def _is_plain(response: "flask.Response") -> bool:
    """Return whether a response is text without tags: Flask calls every text that a function returns HTML."""
    return b"<" not in response.get_data()
