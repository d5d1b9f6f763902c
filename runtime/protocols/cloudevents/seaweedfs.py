"""Notifications of SeaweedFS's filer as S3 event notifications, in the form that MinIO's webhooks post. Pure.

    {"key": "/buckets/BUCKET/KEY", "event_type": "create" | "update" | "rename" | "delete",
     "message": {"old_entry": {...}, "new_entry": {...}, "new_parent_path": "/buckets/BUCKET"}}

The filer reports every change of its tree. Only changes of objects have a translation: not folders, not the parts of an
upload, not the system's own buckets, and not an update that leaves the content as it is.
Source: SeaweedFS, weed/notification/webhook.
"""

import base64
import binascii
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote_plus

from runtime.errors import BadEvent
from runtime.protocols.json.lists import show

_ROOT: Final = "/buckets/"
_PARTS: Final = ".uploads"  # the folder of each bucket with the parts of uploads
_LAST_SECOND: Final = 253_402_300_799  # of the year 9999
_NANOSECONDS: Final = 1_000_000_000  # in a second


def notification_of(document: object, *, region: str = "us-east-1") -> dict[str, Any] | None:
    """Return the S3 notification of a filer's notification; None if no object was stored or removed.

    Raises `BadEvent` if the document has another form.
    """
    if not isinstance(document, dict) or not isinstance(document.get("message"), dict):
        raise BadEvent("body", got=show(document), expected='an object with "key" and "message" of SeaweedFS\'s filer')
    message, path = document["message"], document.get("key")
    if not isinstance(path, str):
        raise BadEvent("key", got=show(path), expected="the path of the changed file")
    old, new = _entry(message, "old_entry"), _entry(message, "new_entry")
    if new is None:
        return _notification("ObjectRemoved:Delete", path, old, region) if old else None
    parent = message.get("new_parent_path")
    target = f"{parent.rstrip('/')}/{new.get('name')}" if isinstance(parent, str) and parent else path
    if old is not None and target == path and _content(old) == _content(new):
        return None
    return _notification(_created(new), target, new, region)


def _notification(name: str, path: str, entry: dict[str, Any], region: str) -> dict[str, Any] | None:
    bucket, _, key = path.removeprefix(_ROOT).partition("/")
    in_bucket = path.startswith(_ROOT) and bucket and key and not bucket.startswith(".")
    if not in_bucket or key.partition("/")[0] == _PARTS or entry.get("is_directory"):
        return None
    changed = _changed(entry)
    item: dict[str, object] = {"key": quote_plus(key), "eTag": _etag(entry), "sequencer": f"{changed:016X}"}
    if name != "ObjectRemoved:Delete":
        item |= {"size": _number(_attributes(entry), "file_size"), "contentType": _attributes(entry).get("mime")}
    record = {
        "eventVersion": "2.0",
        "eventSource": "seaweedfs:s3",
        "awsRegion": region,
        "eventTime": _time(changed),
        "eventName": f"s3:{name}",
        "responseElements": {},
        "s3": {
            "s3SchemaVersion": "1.0",
            "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
            "object": {name: value for name, value in item.items() if value is not None},
        },
    }
    return {"EventName": f"s3:{name}", "Key": f"{bucket}/{key}", "Records": [record]}


def _entry(message: dict[str, Any], name: str) -> dict[str, Any] | None:
    value = message.get(name)
    if value is not None and not isinstance(value, dict):
        raise BadEvent(f"message.{name}", got=show(value), expected="an object")
    return value


def _attributes(entry: dict[str, Any]) -> dict[str, Any]:
    value = entry.get("attributes")
    return value if isinstance(value, dict) else {}


def _number(members: dict[str, Any], name: str) -> int:
    """Return a number; Go's encoder omits a zero."""
    value = members.get(name, 0)
    return value if type(value) is int and value >= 0 else 0


def _chunks(entry: dict[str, Any]) -> list[dict[str, Any]]:
    value = entry.get("chunks")
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _content(entry: dict[str, Any]) -> object:
    """Return what identifies the content: the stored chunks, or the bytes of a small file."""
    return [(each.get("modified_ts_ns"), each.get("e_tag")) for each in _chunks(entry)], entry.get("content")


def _changed(entry: dict[str, Any]) -> int:
    """Return when the content was stored, in nanoseconds since 1970."""
    stored = max((_number(each, "modified_ts_ns") for each in _chunks(entry)), default=0)
    attributes = _attributes(entry)
    return stored or _number(attributes, "mtime") * _NANOSECONDS + _number(attributes, "mtime_ns")


def _time(nanoseconds: int) -> str:
    moment = datetime.fromtimestamp(min(nanoseconds // _NANOSECONDS, _LAST_SECOND), UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{nanoseconds % _NANOSECONDS // 1_000_000:03d}Z"


def _created(entry: dict[str, Any]) -> str:
    uploaded = "X-Seaweedfs-Upload-Id" in _extended(entry)
    return "ObjectCreated:CompleteMultipartUpload" if uploaded else "ObjectCreated:Put"


def _extended(entry: dict[str, Any]) -> dict[str, Any]:
    value = entry.get("extended")
    return value if isinstance(value, dict) else {}


def _etag(entry: dict[str, Any]) -> str | None:
    """Return the ETag that S3 shows, which is stored as base64 of its text; otherwise the MD5 of the content."""
    stored, digest = _extended(entry).get("Seaweed-X-Amz-ETag"), _attributes(entry).get("md5")
    try:
        if isinstance(stored, str):
            return base64.b64decode(stored, validate=True).decode()
        if isinstance(digest, str):
            return base64.b64decode(digest, validate=True).hex()
    except (binascii.Error, UnicodeDecodeError):
        pass
    return None
