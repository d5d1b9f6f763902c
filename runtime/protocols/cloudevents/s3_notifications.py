"""S3 event notifications: which objects of a store were created or removed. Pure.

The notification is the data of a CloudEvent, or the whole body of a request without any attribute, as a webhook of
MinIO posts it. `event_of` makes an event of the latter, as the CloudEvents adapter for S3 defines it, except in two
points. The `s3:` before MinIO's event names is removed, so that one filter fits every store. The id is a hash of what
names the change, because one request can remove many objects. A notification that is sent again has the same id.
Sources: Amazon S3, "Event message structure"; MinIO, internal/event; CloudEvents, adapters/aws-s3.
"""

import hashlib
from typing import Any, Final, NamedTuple
from urllib.parse import unquote_plus

from runtime.errors import BadEvent
from runtime.protocols.cloudevents import attributes as rules
from runtime.protocols.cloudevents.event import Event
from runtime.protocols.json.lists import show

CREATED: Final = "ObjectCreated:"  # the start of the names of all events that store an object
_TYPE: Final = "com.amazonaws.s3."
_ID_CHARS: Final = 32
_JSON: Final = "application/json"


class ObjectReference(NamedTuple):
    """An object that a notification names. `size` is in bytes; None where the store does not state a value."""

    bucket: str
    key: str
    event_name: str  # such as "ObjectCreated:Put"
    size: int | None = None
    version: str | None = None
    etag: str | None = None
    content_type: str | None = None
    sequencer: str | None = None  # orders the changes of one key
    time: str | None = None  # RFC 3339

    @property
    def created(self) -> bool:
        """Whether the object was stored, so that it can be fetched."""
        return self.event_name.startswith(CREATED)


def is_notification(document: object) -> bool:
    """Return whether a JSON value has the form of a notification, or of one of its records."""
    if not isinstance(document, dict):
        return False
    if "s3" in document:
        return "eventName" in document
    records = document.get("Records")
    return isinstance(records, list) and all(isinstance(each, dict) and "s3" in each for each in records)


def references(document: object) -> list[ObjectReference]:
    """Return the objects of a notification, or of one record, in its order. Raises `BadEvent`."""
    return [_reference(record, field) for field, record in _records(document)]


def event_of(document: object) -> Event:
    """Return a notification without attributes as an event, with the attributes of its first record.

    Raises `BadEvent`, also if there is no record.
    """
    records = _records(document)
    if not records:
        raise BadEvent("Records", got="an empty list", expected="at least one record of an S3 event notification")
    objects = [_reference(record, field) for field, record in records]
    _, record = records[0]
    first = objects[0]
    source = f"{_text(record, 'eventSource') or 'aws:s3'}.{_text(record, 'awsRegion') or ''}.{first.bucket}"
    attributes = {}
    if first.time is not None:
        attributes["time"] = first.time
    if len(objects) == 1 and rules.is_text(first.key):
        attributes["subject"] = first.key
    return Event(_id(records, objects), source, _TYPE + first.event_name, attributes, _JSON, b"", document)


def _records(document: object) -> list[tuple[str, dict[str, Any]]]:
    if isinstance(document, dict) and "s3" in document:
        return [("", document)]
    records = document.get("Records") if isinstance(document, dict) else None
    if not isinstance(records, list) or not all(isinstance(each, dict) for each in records):
        got = show(records if isinstance(document, dict) else document)
        raise BadEvent("Records", got=got, expected="the list of records of an S3 event notification")
    return [(f"Records[{index}].", record) for index, record in enumerate(records)]


def _reference(record: dict[str, Any], field: str) -> ObjectReference:
    entity = _object(record, "s3", field)
    bucket = _object(entity, "bucket", f"{field}s3.")
    item = _object(entity, "object", f"{field}s3.")
    size = item.get("size")
    return ObjectReference(
        bucket=_required(bucket, "name", f"{field}s3.bucket."),
        key=_key(_required(item, "key", f"{field}s3.object."), f"{field}s3.object.key"),
        event_name=_required(record, "eventName", field).removeprefix("s3:"),
        size=size if type(size) is int and size >= 0 else None,
        version=_text(item, "versionId"),
        etag=_text(item, "eTag"),
        content_type=_text(item, "contentType"),
        sequencer=_text(item, "sequencer"),
        time=time if (time := _text(record, "eventTime")) and rules.is_time(time) else None,
    )


def _object(members: dict[str, Any], name: str, field: str) -> dict[str, Any]:
    value = members.get(name)
    if not isinstance(value, dict):
        raise BadEvent(f"{field}{name}", got=show(value), expected="an object of an S3 event notification")
    return value


def _required(members: dict[str, Any], name: str, field: str) -> str:
    value = members.get(name)
    if not isinstance(value, str) or not value or not rules.is_text(value):
        raise BadEvent(f"{field}{name}", got=show(value), expected="a string of at least one character")
    return value


def _text(members: dict[str, Any], name: str) -> str | None:
    """Return an optional string; None if it is absent, empty or no string."""
    value = members.get(name)
    return value if isinstance(value, str) and value and rules.is_text(value) else None


def _key(encoded: str, field: str) -> str:
    try:
        return unquote_plus(encoded, errors="strict")
    except UnicodeDecodeError:
        raise BadEvent(field, got=show(encoded), expected="a key that is URL-encoded in UTF-8") from None


def _id(records: list[tuple[str, dict[str, Any]]], objects: list[ObjectReference]) -> str:
    """Return the same id for the same changes.

    A sequencer tells two changes of one key apart; without it, the time and the store's id of the request do.
    """
    digest = hashlib.sha256()
    for (_, record), each in zip(records, objects, strict=True):
        parts = [each.bucket, each.key, each.event_name, each.version, each.etag, each.sequencer]
        if each.sequencer is None:
            response = record.get("responseElements")
            parts += [each.time, _text(response, "x-amz-request-id") if isinstance(response, dict) else None]
        digest.update("".join(f"{len(part)}:{part}" if part else "0:" for part in parts).encode(errors="replace"))
    return digest.hexdigest()[:_ID_CHARS]
