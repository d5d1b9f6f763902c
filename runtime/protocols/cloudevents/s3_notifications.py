"""S3 event notifications: which objects of a store were created or removed. Pure.

A notification has one of these forms:

    {"Records": [{"eventName": ..., "s3": {"bucket": ..., "object": ...}}, ...]}             Amazon S3, MinIO
    {"eventName": ..., "s3": ...}                                                            one of its records
    {"detail-type": ..., "source": "aws.s3", "detail": {"bucket": ..., "object": ...}, ...}  Amazon EventBridge
    {"bucket": ..., "object": ..., "reason": ...}                                            the detail of that event

It is the data of a CloudEvent, or the whole body of a request without any attribute, as a webhook of MinIO posts it.
`event_of` makes an event of the latter, as the CloudEvents adapter for S3 defines it, except in two points. All forms
have the event names of S3 without `s3:`, so that one filter fits every store. The id is a hash of what names the
change, because one request can remove many objects. A notification that is sent again has the same id.

Keys are URL-encoded in records, and are not encoded by EventBridge.
Sources: Amazon S3, "Event message structure", "EventBridge event message structure" and "Amazon EventBridge mapping";
Amazon EventBridge, "Sending CloudEvents events to API destinations", whose data is the detail; MinIO, internal/event;
CloudEvents, adapters/aws-s3.
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
_EVENTBRIDGE: Final = "aws.s3"  # the source of the events that S3 sends to EventBridge
_CREATED_BY: Final = {  # the end of the event name by the reason of EventBridge's "Object Created"
    "PutObject": "Put",
    "POST Object": "Post",
    "CopyObject": "Copy",
    "CompleteMultipartUpload": "CompleteMultipartUpload",
}
_EVENT_NAMES: Final = {  # by EventBridge's `detail-type`
    "Object Restore Initiated": "ObjectRestore:Post",
    "Object Restore Completed": "ObjectRestore:Completed",
    "Object Restore Expired": "ObjectRestore:Delete",
    "Object Storage Class Changed": "LifecycleTransition",
    "Object Access Tier Changed": "IntelligentTiering",
    "Object Tags Added": "ObjectTagging:Put",
    "Object Tags Deleted": "ObjectTagging:Delete",
    "Object ACL Updated": "ObjectAcl:Put",
}


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
    """Return whether a JSON value has one of the forms of a notification."""
    if not isinstance(document, dict):
        return False
    if "s3" in document:
        return "eventName" in document
    records = document.get("Records")
    if isinstance(records, list):
        return all(isinstance(each, dict) and "s3" in each for each in records)
    return _is_detail(document) or (document.get("source") == _EVENTBRIDGE and _is_detail(document.get("detail")))


def references(document: object) -> list[ObjectReference]:
    """Return the objects of a notification, in its order. Raises `BadEvent`."""
    return [each.reference for each in _changes(document)]


def event_of(document: object) -> Event:
    """Return a notification without attributes as an event, with the attributes of its first object.

    Raises `BadEvent`, also if there is no object.
    """
    changes = _changes(document)
    if not changes:
        raise BadEvent("Records", got="an empty list", expected="at least one record of an S3 event notification")
    first = changes[0].reference
    attributes = {}
    if first.time is not None:
        attributes["time"] = first.time
    if len(changes) == 1 and rules.is_text(first.key):
        attributes["subject"] = first.key
    source = f"{changes[0].origin}.{first.bucket}"
    return Event(_id(changes), source, _TYPE + first.event_name, attributes, _JSON, b"", document)


class _Change(NamedTuple):
    reference: ObjectReference
    origin: str  # the service and its region
    request: str | None  # the store's id of the request that changed the object


def _changes(document: object) -> list[_Change]:
    if isinstance(document, dict):
        if "s3" in document:
            return [_of_record(document, "")]
        if "detail-type" in document:
            return [_of_eventbridge(document)]
        if _is_detail(document):
            return [_of_detail(document, "")]
    records = document.get("Records") if isinstance(document, dict) else None
    if not isinstance(records, list) or not all(isinstance(each, dict) for each in records):
        got = show(records if isinstance(document, dict) else document)
        raise BadEvent("Records", got=got, expected="the list of records of an S3 event notification")
    return [_of_record(record, f"Records[{index}].") for index, record in enumerate(records)]


def _of_record(record: dict[str, Any], field: str) -> _Change:
    entity = _object(record, "s3", field)
    bucket = _object(entity, "bucket", f"{field}s3.")
    item = _object(entity, "object", f"{field}s3.")
    reference = ObjectReference(
        bucket=_required(bucket, "name", f"{field}s3.bucket."),
        key=_decoded(_required(item, "key", f"{field}s3.object."), f"{field}s3.object.key"),
        event_name=_required(record, "eventName", field).removeprefix("s3:"),
        size=_size(item),
        version=_text(item, "versionId"),
        etag=_text(item, "eTag"),
        content_type=_text(item, "contentType"),
        sequencer=_text(item, "sequencer"),
        time=_time(record, "eventTime"),
    )
    response = record.get("responseElements")
    request = _text(response, "x-amz-request-id") if isinstance(response, dict) else None
    return _Change(reference, f"{_text(record, 'eventSource') or 'aws:s3'}.{_text(record, 'awsRegion') or ''}", request)


def _is_detail(document: object) -> bool:
    """Return whether a JSON value has the form of the detail of an EventBridge event about an object."""
    return (
        isinstance(document, dict)
        and isinstance(document.get("bucket"), dict)
        and isinstance(document.get("object"), dict)
    )


def _of_eventbridge(event: dict[str, Any]) -> _Change:
    detail = _object(event, "detail", "")
    change = _of_detail(detail, "detail.", kind=_required(event, "detail-type", ""))
    return change._replace(
        reference=change.reference._replace(time=_time(event, "time")),
        origin=f"aws:s3.{_text(event, 'region') or ''}",
    )


def _of_detail(detail: dict[str, Any], field: str, *, kind: str | None = None) -> _Change:
    """Read the detail of an EventBridge event; `kind` is its `detail-type`, None: unknown."""
    bucket = _object(detail, "bucket", field)
    item = _object(detail, "object", field)
    reference = ObjectReference(
        bucket=_required(bucket, "name", f"{field}bucket."),
        key=_required(item, "key", f"{field}object."),
        event_name=_event_name(detail, kind),
        size=_size(item),
        version=_text(item, "version-id"),
        etag=_text(item, "etag"),
        sequencer=_text(item, "sequencer"),
    )
    return _Change(reference, "aws:s3.", _text(detail, "request-id"))


def _event_name(detail: dict[str, Any], kind: str | None) -> str:
    """Return S3's name of an EventBridge event. Without a kind, the reason tells whether the object was created."""
    reason, deletion = _text(detail, "reason"), _text(detail, "deletion-type")
    if kind == "Object Created" or (kind is None and reason in _CREATED_BY):
        return CREATED + _CREATED_BY.get(reason or "", "*")
    if kind == "Object Deleted" or (kind is None and deletion is not None):
        cause = "LifecycleExpiration" if reason == "Lifecycle Expiration" else "ObjectRemoved"
        return f"{cause}:{'DeleteMarkerCreated' if deletion == 'Delete Marker Created' else 'Delete'}"
    return _EVENT_NAMES.get(kind or "", kind or "unknown")


def _object(members: dict[str, Any], name: str, field: str) -> dict[str, Any]:
    value = members.get(name)
    if not isinstance(value, dict):
        raise BadEvent(f"{field}{name}", got=show(value), expected="an object of an S3 event notification")
    return value


def _required(members: dict[str, Any], name: str, field: str) -> str:
    value = members.get(name)
    if not isinstance(value, str) or not value or not rules.is_text(value):
        expected = "a string of at least one character, without control characters"
        raise BadEvent(f"{field}{name}", got=show(value), expected=expected)
    return value


def _text(members: dict[str, Any], name: str) -> str | None:
    """Return an optional string; None if it is absent, empty or no string."""
    value = members.get(name)
    return value if isinstance(value, str) and value and rules.is_text(value) else None


def _size(item: dict[str, Any]) -> int | None:
    size = item.get("size")
    return size if type(size) is int and size >= 0 else None


def _time(members: dict[str, Any], name: str) -> str | None:
    time = _text(members, name)
    return time if time is not None and rules.is_time(time) else None


def _decoded(key: str, field: str) -> str:
    try:
        return unquote_plus(key, errors="strict")
    except UnicodeDecodeError:
        raise BadEvent(field, got=show(key), expected="a key that is URL-encoded in UTF-8") from None


def _id(changes: list[_Change]) -> str:
    """Return the same id for the same changes.

    A sequencer tells two changes of one key apart; without it, the time and the store's id of the request do.
    """
    digest = hashlib.sha256()
    for each, _, request in changes:
        parts = [each.bucket, each.key, each.event_name, each.version, each.etag, each.sequencer]
        if each.sequencer is None:
            parts += [each.time, request]
        digest.update("".join(f"{len(part)}:{part}" if part else "0:" for part in parts).encode(errors="replace"))
    return digest.hexdigest()[:_ID_CHARS]
