"""One CloudEvent, independent of the mode that carried it. Source: CloudEvents 1.0.2."""

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from runtime.protocols.json import writer

SPEC_VERSION: Final = "1.0"
_NO_ATTRIBUTES: Final[Mapping[str, str]] = MappingProxyType({})


class _Absent(Enum):
    DOCUMENT = "no document"


NO_DOCUMENT: Final = _Absent.DOCUMENT


class Event(NamedTuple):
    """An event.

    `attributes` are all other context attributes and extensions as strings, such as subject, time, dataschema and
    traceparent; specversion is always "1.0". `data` are the bytes of the payload, b"" if there is none.
    """

    id: str
    source: str
    type: str
    attributes: Mapping[str, str] = _NO_ATTRIBUTES
    content_type: str | None = None  # datacontenttype
    data: bytes = b""
    document: Any = NO_DOCUMENT  # a structured event's `data` as a JSON value; `data` is then b""

    @property
    def key(self) -> tuple[str, str]:
        """The source and the id: two events with the same key are the same event."""
        return (self.source, self.id)

    @property
    def has_document(self) -> bool:
        """Whether the payload is parsed JSON; it can be None, which is JSON's null."""
        return self.document is not NO_DOCUMENT

    def body(self) -> bytes:
        """Return the payload as bytes; a document becomes JSON text."""
        return self.data if self.document is NO_DOCUMENT else b"".join(writer.dump(self.document))


def is_json(content_type: str | None) -> bool:
    """Return whether a content type declares JSON: the subtype is `json` or ends with `+json`.

    Source: CloudEvents 1.0.2, JSON event format, section 3.1.
    """
    if content_type is None:
        return False
    if content_type == "application/json":
        return True
    subtype = content_type.partition(";")[0].partition("/")[2].strip().lower()
    return subtype == "json" or subtype.endswith("+json")
