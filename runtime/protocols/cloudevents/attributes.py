"""The rules of context attributes, for all modes. Source: CloudEvents 1.0.2, section "Context Attributes".

A source can be any non-empty string here. SDKs that do not percent-encode headers send `/a%20b` as it is; a reader then
decodes it to a text with a space, which is not a URI-reference, and to refuse it would lose the event.
"""

import re
from collections.abc import Mapping
from datetime import date
from typing import Final

from runtime.errors import BadEvent
from runtime.protocols.cloudevents.event import SPEC_VERSION

RESERVED: Final = frozenset({"data", "data_base64", "datacontenttype", "specversion"})  # not names of extensions

_SHOWN: Final = 80  # characters of a value in a message
_NAME: Final = re.compile(r"[a-z0-9]+")
# Control characters and non-characters. Source: section "Type System", String.
_NON_CHARACTERS: Final = "".join(chr(plane * 0x10000 + last) for plane in range(17) for last in (0xFFFE, 0xFFFF))
_FORBIDDEN: Final = re.compile(f"[\x00-\x1f\x7f-\x9f\ufdd0-\ufdef{_NON_CHARACTERS}]")
_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # a token of RFC 9110, section 5.6.2
_MEDIA_TYPE: Final = re.compile(rf"{_WORD}/{_WORD}[ \t]*(;[\t\x20-\x7e]*)?")
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_TIMESTAMP: Final = re.compile(
    r"\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])[Tt]([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?"
    r"([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)
_DAY: Final = slice(8, 10)  # of a timestamp
_SHORTEST_MONTH: Final = "28"


def check_version(version: object, field: str) -> None:
    """Check the specversion. Raises `BadEvent`."""
    if version != SPEC_VERSION:
        got = "nothing" if version is None else repr(version)[:_SHOWN]
        expected = f'"{SPEC_VERSION}", the only version of CloudEvents that this server reads'
        raise BadEvent(field, got=got, expected=expected)


def check_name(name: str, field: str) -> None:
    """Check the name of an attribute. Raises `BadEvent`."""
    if not _NAME.fullmatch(name):
        raise BadEvent(field, got=f"the attribute name {name[:_SHOWN]!r}", expected="letters a to z and digits")


def is_text(value: str) -> bool:
    """Return whether a value is a string that CloudEvents allows."""
    return (value.isascii() and value.isprintable()) or not _FORBIDDEN.search(value)


def check_text(value: str, field: str) -> None:
    """Check that a value is a string that CloudEvents allows. Raises `BadEvent`."""
    if not (value.isascii() and value.isprintable()) and (found := _FORBIDDEN.search(value)):
        got = f"U+{ord(found[0]):04X} at character {found.start()}"
        raise BadEvent(field, got=got, expected="a string without control characters and non-characters")


def check_required(value: str | None, field: str) -> str:
    """Return a required attribute. Raises `BadEvent` if it is missing or empty."""
    if not value:
        got = "nothing" if value is None else "an empty string"
        raise BadEvent(field, got=got, expected="a string of at least one character: it is a required attribute")
    return value


def check_content_type(value: str, field: str) -> None:
    """Check that a value is a media type (RFC 2046), with or without parameters. Raises `BadEvent`."""
    if value != "application/json" and not _MEDIA_TYPE.fullmatch(value):
        raise BadEvent(field, got=repr(value[:_SHOWN]), expected="a media type, such as application/json")


def check_optional(attributes: Mapping[str, str], prefix: str) -> None:
    """Check the values of the optional attributes that have a type other than String. Raises `BadEvent`."""
    if (time := attributes.get("time")) is not None and not is_time(time):
        expected = "a timestamp as RFC 3339 defines it, such as 2026-04-05T17:31:00Z"
        raise BadEvent(f"{prefix}time", got=repr(time[:_SHOWN]), expected=expected)
    if (schema := attributes.get("dataschema")) is not None and not _SCHEME.match(schema):
        expected = "an absolute URI, such as https://example.com/schema"
        raise BadEvent(f"{prefix}dataschema", got=repr(schema[:_SHOWN]), expected=expected)
    if attributes.get("subject") == "":
        raise BadEvent(f"{prefix}subject", got="an empty string", expected="a string of at least one character")


def is_time(value: str) -> bool:
    """Return whether a value is a timestamp as RFC 3339 defines it."""
    if not _TIMESTAMP.fullmatch(value):
        return False
    if value[_DAY] > _SHORTEST_MONTH:
        try:
            date.fromisoformat(value[:10])
        except ValueError:  # the 30th of February
            return False
    return True
