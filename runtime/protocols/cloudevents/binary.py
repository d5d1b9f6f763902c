"""Binary mode: each attribute in a header `ce-NAME`, the data as the body, its type as `Content-Type`.

Header values are percent-encoded: a space, `"`, `%` and everything outside of U+0021 to U+007E is written as the
UTF-8 bytes in upper-case hexadecimal digits. A reader removes the quotes of a quoted string, decodes once, and
refuses invalid UTF-8. A `%` without two hexadecimal digits is kept, and so are raw UTF-8 bytes, spaces and quotes:
Knative's Broker and several SDKs do not encode at all.
Source: CloudEvents 1.0.2, HTTP protocol binding, section 3.1.
"""

import re
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes

from runtime.errors import BadEvent
from runtime.http.messages import Headers
from runtime.protocols.cloudevents import attributes as rules
from runtime.protocols.cloudevents.event import SPEC_VERSION, Event

_PREFIX: Final = b"ce-"
_ID: Final = b"ce-id"
_ENCODED: Final = re.compile(r'[^\x21-\x7e]|["%]')
_JSON: Final = "application/json"
_QUOTED: Final = re.compile(rb'"([^"\\]|\\.)*"', re.DOTALL)
_ESCAPE: Final = re.compile(rb"\\(.)", re.DOTALL)
_KEPT_NAMES: Final = 256
_SHOWN: Final = 80  # bytes of a value in a message
_KNOWN: Final = {
    f"ce-{name}".encode(): name
    for name in ("id", "source", "type", "specversion", "time", "subject", "dataschema", "traceparent", "tracestate")
}


def read(headers: Headers, body: bytes) -> Event:
    """Return the event of a message whose header names are in lower case. Raises `BadEvent`."""
    found: dict[str, str] = {}
    content_type = None
    for header, value in headers:
        if header[:3] == _PREFIX:
            name = _KNOWN.get(header) or _name(header)
            if name in found:
                raise BadEvent(f"ce-{name}", got="two headers", expected="one header")
            found[name] = value.decode("latin-1")
        elif header == b"content-type":
            content_type = value.decode("latin-1")
            if content_type != _JSON:
                rules.check_content_type(content_type, "Content-Type")
    if not _is_plain("".join(found.values())):
        found = {name: decoded(text.encode("latin-1"), name) for name, text in found.items()}
    rules.check_version(found.pop("specversion", None), "ce-specversion")
    source = rules.check_required(found.pop("source", None), "ce-source")
    event_id = rules.check_required(found.pop("id", None), "ce-id")
    kind = rules.check_required(found.pop("type", None), "ce-type")
    if found:
        rules.check_optional(found, "ce-")
    return Event(event_id, source, kind, found, content_type, body)


def read_like(other: Event, varying: Headers, body: bytes) -> Event | None:
    """Return the event of a message that differs from that of `other` only in these headers and the body.

    The values of the headers need no decoding; headers that are no attributes are skipped. `other` is not changed.
    Return None if the event may be invalid; `read` then refuses it.
    """
    event_id = ""
    found = {**other.attributes}
    for header, value in varying:
        if header == _ID:
            if event_id:
                return None
            event_id = value.decode("ascii")
        elif header[:3] == _PREFIX:
            name = _KNOWN.get(header) or _name(header)
            if name in found:
                return None
            found[name] = value.decode("ascii")
    time = found.get("time")
    if not event_id or (time is not None and not rules.is_time(time)):
        return None
    return Event(event_id, other.source, other.type, found, other.content_type, body)


def _is_plain(text: str) -> bool:
    """Return whether no value in the text is encoded: one check of all of them costs less than one of each."""
    return text.isascii() and "%" not in text and '"' not in text and text.isprintable()


@lru_cache(maxsize=_KEPT_NAMES)
def _name(header: bytes) -> str:
    """Return the name of an attribute that is not a well-known one."""
    name = header[3:].decode("latin-1")
    if name == "datacontenttype":
        raise BadEvent("ce-datacontenttype", got="this header", expected="the type of the data in Content-Type")
    rules.check_name(name, f"ce-{name}"[:_SHOWN])
    if name in rules.RESERVED:
        raise BadEvent(f"ce-{name}", got="this header", expected="the data in the body")
    return name


def decoded(value: bytes, name: str) -> str:
    """Return the value of a header as an attribute. Raises `BadEvent`; `name` is that of the attribute."""
    if value[:1] == b'"' and _QUOTED.fullmatch(value):
        value = _ESCAPE.sub(rb"\1", value[1:-1])
    if b"%" in value:
        value = unquote_to_bytes(value)
    try:
        text = value.decode()
    except UnicodeDecodeError:
        raise BadEvent(f"ce-{name}", got=f"{value[:_SHOWN]!r}", expected="valid UTF-8 after percent-decoding") from None
    rules.check_text(text, f"ce-{name}")
    return text


def encoded(value: str) -> bytes:
    """Return an attribute's value as the value of a header."""
    if _is_plain(value) and " " not in value:
        return value.encode("ascii")
    return _ENCODED.sub(_percent, value).encode("ascii")


def _percent(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode())


@lru_cache(maxsize=_KEPT_NAMES)
def _header(name: str) -> bytes:
    return f"ce-{name}".encode("ascii")


def write(event: Event) -> tuple[Headers, bytes]:
    """Return the headers and the body of an event."""
    headers: Headers = [
        (b"ce-specversion", SPEC_VERSION.encode()),
        (b"ce-id", encoded(event.id)),
        (b"ce-source", encoded(event.source)),
        (b"ce-type", encoded(event.type)),
    ]
    headers += [(_header(name), encoded(value)) for name, value in event.attributes.items()]
    if event.content_type is not None:
        headers.append((b"content-type", event.content_type.encode("latin-1")))
    elif event.has_document:
        headers.append((b"content-type", _JSON.encode()))
    return headers, event.body()
