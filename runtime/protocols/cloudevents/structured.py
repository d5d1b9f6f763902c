"""Structured mode: one event as a JSON object. Source: CloudEvents 1.0.2, JSON event format.

`data` is a JSON value: the data itself if the type of the data is JSON, which is the default, and a text otherwise.
`data_base64` are bytes. Attributes with the value null are absent; `data` with the value null is the JSON value null.
"""

import binascii
import re
from base64 import b64encode
from collections.abc import Generator
from typing import Any, Final

import orjson

from runtime.errors import BadEvent, InvalidInput
from runtime.protocols.cloudevents import attributes as rules
from runtime.protocols.cloudevents.event import NO_DOCUMENT, SPEC_VERSION, Event, is_json
from runtime.protocols.json import slices, writer
from runtime.protocols.json import tensors as json_tensors
from runtime.protocols.json.lists import show

_DEFAULT_TYPE: Final = "application/json"
_INTEGERS: Final = range(-(2**31), 2**31)  # section "Type System", Integer
_CHARSETS: Final = frozenset({"utf-8", "us-ascii", "iso-8859-1", "windows-1252", "utf-16", "utf-16le", "utf-16be"})
_CHARSET: Final = re.compile(r';\s*charset="?([^\s";]+)', re.IGNORECASE)
_TEXT: Final = re.compile(r"text/|[^;/]+/([^;/]+\+)?xml\b", re.IGNORECASE)
_PIECE: Final = 256 * 1024  # characters of base64 that are decoded at once, in less than a millisecond
_SHOWN: Final = 80  # characters of a value in a message
_STRINGS: Final = frozenset({"id", "source", "type", "specversion", "time", "subject", "dataschema", "datacontenttype"})


def read(body: bytes) -> Event:
    """Parse a small body at once. Raises `BadEvent`."""
    try:
        return event_of(json_tensors.load(body))
    except InvalidInput as fault:
        raise not_json(fault) from None


def read_slices(body: bytes) -> Generator[None, None, Event]:
    """Parse a body of any size in steps; long lists of numbers in `document` are NumPy arrays. Raises `BadEvent`."""
    try:
        document = yield from slices.parse(body)
    except InvalidInput as fault:
        raise not_json(fault) from None
    return (yield from event_in_steps(document))


def event_in_steps(document: object, prefix: str = "") -> Generator[None, None, Event]:
    """Return the event of a parsed JSON object, as `event_of` does; long base64 is decoded in steps."""
    if isinstance(document, dict) and isinstance(encoded := document.get("data_base64"), str) and len(encoded) > _PIECE:
        field = f"{prefix}.data_base64" if prefix else "data_base64"
        document["data_base64"] = yield from _bytes_in_steps(encoded, field)
    return event_of(document, prefix)


def _bytes_in_steps(encoded: str, field: str) -> Generator[None, None, bytes]:
    pieces = []
    for at in range(0, len(encoded), _PIECE):
        piece = encoded[at : at + _PIECE]
        if piece.endswith("=") and at + _PIECE < len(encoded):  # the decoder would accept an end within the text
            raise _not_base64(encoded, field)
        pieces.append(_bytes(piece, field))
        yield
    return b"".join(pieces)


def not_json(fault: InvalidInput) -> BadEvent:
    """Return the refusal of a body that is not JSON, or that exceeds the limits of the parser."""
    return BadEvent("body", got=str(fault.details["got"]), expected=str(fault.details["expected"]))


def event_of(document: object, prefix: str = "") -> Event:
    """Return the event of a parsed JSON object; `prefix` is its place in a batch. Raises `BadEvent`."""
    if not isinstance(document, dict):
        raise BadEvent(prefix or "body", got=show(document), expected="a JSON object with the attributes of an event")
    prefix = f"{prefix}." if prefix else ""
    found = {
        name: _text(name, value, prefix)
        for name, value in document.items()
        if value is not None and name not in ("data", "data_base64")
    }
    rules.check_version(found.pop("specversion", None), f"{prefix}specversion")
    source = rules.check_required(found.pop("source", None), f"{prefix}source")
    event_id = rules.check_required(found.pop("id", None), f"{prefix}id")
    kind = rules.check_required(found.pop("type", None), f"{prefix}type")
    content_type = found.pop("datacontenttype", None)
    rules.check_optional(found, prefix)
    content_type, data, value = _data(document, content_type, prefix)
    return Event(event_id, source, kind, found, content_type, data, value)


def _text(name: str, value: object, prefix: str) -> str:
    field = f"{prefix}{name}"
    rules.check_name(name, field)
    if isinstance(value, str):
        rules.check_text(value, field)
        return value
    if name in _STRINGS:
        raise BadEvent(field, got=show(value), expected="a string")
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and value in _INTEGERS:
        return str(value)
    raise BadEvent(field, got=show(value), expected="a string, true, false, or an integer of 32 bits")


def _data(document: dict[str, Any], content_type: str | None, prefix: str) -> tuple[str | None, bytes, Any]:
    """Return the type of the data, and the data as bytes or as a document. Raises `BadEvent`."""
    if content_type is not None:
        rules.check_content_type(content_type, f"{prefix}datacontenttype")
    has_value, encoded = "data" in document, document.get("data_base64")
    if not has_value and encoded is None:
        return content_type, b"", NO_DOCUMENT
    content_type = content_type or _DEFAULT_TYPE
    if encoded is not None:
        if has_value:
            raise BadEvent(f"{prefix}data", got="data and data_base64", expected="one of the two")
        decoded = encoded if isinstance(encoded, bytes) else _bytes(encoded, f"{prefix}data_base64")
        return content_type, decoded, NO_DOCUMENT
    value = document["data"]
    if is_json(content_type):
        return content_type, b"", value
    return content_type, _text_bytes(value, content_type, f"{prefix}data"), NO_DOCUMENT


def _bytes(encoded: object, field: str) -> bytes:
    try:
        if isinstance(encoded, str):
            return binascii.a2b_base64(encoded, strict_mode=True)
    except ValueError:  # binascii.Error is one; not ASCII is another
        pass
    raise _not_base64(encoded, field)


def _not_base64(encoded: object, field: str) -> BadEvent:
    return BadEvent(field, got=show(encoded), expected="a string of base64 (RFC 4648, section 4)")


def _text_bytes(value: object, content_type: str, field: str) -> bytes:
    """Return a text in the character set that its type names; UTF-8 if it names none."""
    if not isinstance(value, str):
        expected = f"a string, because datacontenttype is {content_type[:_SHOWN]!r}, or data_base64"
        raise BadEvent(field, got=show(value), expected=expected)
    charset = _charset(content_type)
    try:
        if charset in _CHARSETS:
            return value.encode(charset)
    except UnicodeEncodeError:
        pass
    raise BadEvent(field, got=f"a text that is not {charset[:_SHOWN]}", expected="data_base64 for this character set")


def _charset(content_type: str) -> str:
    found = _CHARSET.search(content_type)
    return found[1].lower() if found else "utf-8"


def write(event: Event) -> bytes:
    """Return the event as JSON. Data that is neither JSON nor text is written as `data_base64`."""
    return writer.small(document_of(event))


def document_of(event: Event) -> dict[str, Any]:
    """Return the members of the JSON object."""
    document: dict[str, Any] = {
        "specversion": SPEC_VERSION,
        "id": event.id,
        "source": event.source,
        "type": event.type,
        **event.attributes,
    }
    if event.content_type is not None:
        document["datacontenttype"] = event.content_type
    if event.has_document:
        document["data"] = event.document
    elif event.data:
        _put_data(document, event)
    return document


def _put_data(document: dict[str, Any], event: Event) -> None:
    if event.content_type is None:  # absent would mean JSON
        document["datacontenttype"] = "application/octet-stream"
    elif is_json(event.content_type) and _is_valid_json(event.data):
        document["data"] = orjson.Fragment(event.data)
        return
    elif (text := _text_of(event.content_type, event.data)) is not None:
        document["data"] = text
        return
    document["data_base64"] = b64encode(event.data).decode("ascii")


def _is_valid_json(data: bytes) -> bool:
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return True


def _text_of(content_type: str, data: bytes) -> str | None:
    """Return data that its type declares as text in UTF-8; None for any other data."""
    if not _TEXT.match(content_type) or is_json(content_type) or _charset(content_type) != "utf-8":
        return None
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None
