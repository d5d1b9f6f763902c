"""The mode in which an HTTP message carries events.

The prefix of the content type decides, in any case; any other message with `ce-` headers is in binary mode.
Source: CloudEvents 1.0.2, HTTP protocol binding, section 3.
"""

from enum import Enum
from typing import Final

from runtime.errors import UnsupportedContentType
from runtime.http.messages import Request

STRUCTURED_TYPE: Final = b"application/cloudevents+json"
BATCH_TYPE: Final = b"application/cloudevents-batch+json"

_STRUCTURED: Final = b"application/cloudevents"
_BATCHED: Final = b"application/cloudevents-batch"
# A prefix without a format is JSON for every SDK.
_JSON_TYPES: Final = frozenset({STRUCTURED_TYPE, _STRUCTURED, BATCH_TYPE, _BATCHED})
_START: Final = b"a"[0], b"A"[0]


class Mode(Enum):
    """One event in headers and body, one event as JSON, or a list of events as JSON."""

    BINARY = "binary"
    STRUCTURED = "structured"
    BATCHED = "batched"


def mode_of(request: Request) -> Mode | None:
    """Return the mode of a request; None: it carries no event.

    `ce-id` without `ce-specversion` counts as an event, so that the sender is told what is missing.
    """
    named = mode_of_type(request.header(b"content-type"))
    if named is not None:
        return named
    is_binary = request.header(b"ce-specversion") is not None or request.header(b"ce-id") is not None
    return Mode.BINARY if is_binary else None


def mode_of_type(content_type: bytes | None) -> Mode | None:
    """Return the mode that a content type declares; None: it is the type of the data, or of no event."""
    if not content_type or content_type[0] not in _START:
        return None
    prefix = content_type[: len(_BATCHED)].lower()
    if prefix == _BATCHED:
        return Mode.BATCHED
    return Mode.STRUCTURED if prefix.startswith(_STRUCTURED) else None


def check_format(content_type: bytes | None) -> None:
    """Check that the format of a structured or batched message is JSON. Raises `UnsupportedContentType`."""
    if mode_of_type(content_type) is None or content_type is None:
        return
    if content_type.partition(b";")[0].strip().lower() not in _JSON_TYPES:
        raise UnsupportedContentType(content_type, (STRUCTURED_TYPE, BATCH_TYPE))
