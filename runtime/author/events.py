"""The S3 objects that an event names, for an author's function that gets events.

    @functions_framework.cloud_event
    def on_object(event):
        for reference in objects(event):
            content = fetch(reference)  # content.data, content.content_type

`fetch` is an ordinary blocking call. It reads the object on the thread of the function, with the AWS_* variables of the
process, and obeys SCALEZERO_EVENT_BUCKETS and SCALEZERO_EVENT_OBJECT_BYTES.
"""

import json
import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.artifacts.reading import Content
from runtime.author.predicting import attached_settings
from runtime.errors import BadEvent
from runtime.event_objects import Rules, reader
from runtime.settings import SOURCE

if TYPE_CHECKING:
    from cloudevents.abstract import CloudEvent

    from runtime.protocols.cloudevents.s3_notifications import ObjectReference
    from runtime.settings import Settings

__all__ = ["Content", "fetch", "objects"]


def objects(event: "CloudEvent | Mapping[str, Any]") -> "list[ObjectReference]":
    """Return the objects that an event says were stored, in its order. Placeholders of folders (`KEY/`) are left out.

    `event` is a CloudEvent whose data is an S3 notification, or the notification. Raises `BadEvent`, which rejects the
    event, if it is none.
    """
    from runtime.protocols.cloudevents.s3_notifications import references

    named = references(_document(event if isinstance(event, Mapping) else event.get_data()))
    return [each for each in named if each.created and not each.key.endswith("/")]


def fetch(reference: "ObjectReference") -> Content:
    """Return the object, in the version that the event names if it names one; block until it is read.

    Raises, with the fault of the event: `BucketNotAllowed`, `BadEvent` for a key that clients read differently,
    `ObjectMissing` and `PayloadTooLarge`. Raises, so that the event is delivered again: `AccessDenied`,
    `CredentialsMissing`, `StoreUnreachable`, `StoreStalled` and `BadSetting`.
    """
    caller = sys._getframe(1).f_globals.get("__file__")  # noqa: SLF001 - the author should not have to pass __file__
    return reader(Rules.of(_settings(Path(caller).resolve().parent if caller else None))).read(reference)


def _settings(folder: Path | None) -> "Settings":
    return attached_settings() or _settings_of(folder)


@lru_cache(1)
def _settings_of(folder: Path | None) -> "Settings":
    """Return the settings in a process without scalezero's server: the environment, and the author's resources."""
    from runtime.declared import settings_for

    return settings_for(folder if folder and (folder / SOURCE).is_file() else None)


def _document(data: object) -> object:
    if not isinstance(data, (str, bytes)):
        return data
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise BadEvent("data", got="data that is not JSON", expected="an S3 notification") from None
