"""Notifications of SeaweedFS's filer as S3 event notifications, in the form that MinIO's webhooks post. Pure.

    {"key": "/buckets/BUCKET/KEY", "event_type": "create" | "update" | "rename" | "delete",
     "message": {"old_entry": {...}, "new_entry": {...}, "new_parent_path": "/buckets/BUCKET"}}

The filer reports every change of its tree. Only changes of objects have a translation: not folders, not the parts of an
upload, not the system's own buckets, and not an update that leaves the content as it is. A bucket with versions has a
file for each version of an object, KEY.versions/v_VERSION, and one for each delete marker.
Sources: SeaweedFS, weed/notification/webhook, weed/s3api/s3api_object_versioning.go.
"""

import base64
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import quote_plus

from runtime.errors import BadEvent
from runtime.protocols.json.lists import show

_ROOT: Final = "/buckets/"
_PARTS: Final = ".uploads"  # the folder of each bucket with the parts of uploads
_LAST_SECOND: Final = 253_402_300_799  # of the year 9999
_CREATED: Final = "ObjectCreated:"
_REMOVED: Final = "ObjectRemoved:Delete"
_NO_VERSION: Final = "null"  # the version of an object that was stored while its bucket kept no versions
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
        return _notification(_REMOVED, path, old, region) if old else None
    parent = message.get("new_parent_path")
    target = f"{parent.rstrip('/')}/{new.get('name')}" if isinstance(parent, str) and parent else path
    if old is not None and target == path and _content(old) == _content(new):
        return None
    return _notification(_event_name(new), target, new, region)


def _notification(name: str, path: str, entry: dict[str, Any], region: str) -> dict[str, Any] | None:
    bucket, _, key = path.removeprefix(_ROOT).partition("/")
    in_bucket = path.startswith(_ROOT) and bucket and key and not bucket.startswith(".")
    if not in_bucket or key.partition("/")[0] == _PARTS or entry.get("is_directory"):
        return None
    changed, version = _changed(entry), _version(entry)
    key = key.removesuffix(f".versions/v_{version}") if version else key
    item: dict[str, object] = {"key": quote_plus(key), "eTag": _etag(entry), "versionId": version}
    item["sequencer"] = f"{changed:016X}"
    if name.startswith(_CREATED):
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


def _event_name(entry: dict[str, Any]) -> str:
    """Return the name of the event that stored the entry."""
    extended = _extended(entry)
    if "Seaweed-X-Amz-Delete-Marker" in extended:
        return "ObjectRemoved:DeleteMarkerCreated"
    return _CREATED + ("CompleteMultipartUpload" if "X-Seaweedfs-Upload-Id" in extended else "Put")


def _extended(entry: dict[str, Any]) -> dict[str, Any]:
    """Return the extended attributes; their values are base64."""
    value = entry.get("extended")
    return value if isinstance(value, dict) else {}


def _version(entry: dict[str, Any]) -> str | None:
    """Return the version of an object in a bucket that keeps versions."""
    version = _bytes(_extended(entry).get("Seaweed-X-Amz-Version-Id")).decode(errors="replace")
    return version if version not in {"", _NO_VERSION} else None


def _etag(entry: dict[str, Any]) -> str | None:
    """Return the ETag that S3 shows; otherwise the MD5 of the content."""
    etag = _bytes(_extended(entry).get("Seaweed-X-Amz-ETag")).decode(errors="replace")
    return etag or _bytes(_attributes(entry).get("md5")).hex() or None


def _bytes(encoded: object) -> bytes:
    """Return the bytes of a base64 text; none if it is absent or not valid."""
    try:
        return base64.b64decode(encoded, validate=True) if isinstance(encoded, str) else b""
    except ValueError:
        return b""
