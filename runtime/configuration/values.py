"""Parsers for the values of settings. Pure."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

_MAX_SECONDS: Final = 24 * 3600.0  # seconds
_MIN_SECONDS: Final = 0.001
_SHA256_DIGITS: Final = 64
VERSION_LABEL: Final = "at most 63 characters: letters, digits and . + _ -, with a letter or a digit first"
SEGMENT: Final = "one segment of a URL's path, without / and control characters, and not . or .."
_VERSION_PATTERN: Final = r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,62}"
_ORIGIN_PATTERN: Final = r"https?://[0-9A-Za-z.-]+(:[0-9]{1,5})?"
_BUCKET_PATTERN: Final = r"[0-9A-Za-z][0-9A-Za-z._-]{2,62}"
_SEGMENT_PATTERN: Final = r"(?!\.{1,2}$)[^/\s\x00-\x1f\x7f]([^/\x00-\x1f\x7f]*[^/\s\x00-\x1f\x7f])?"


class Parser(NamedTuple):
    """A parser for the text of a setting."""

    parse: Callable[[str], object]  # raises `ValueError` or `KeyError`
    allowed: str  # a description of the allowed text


def _seconds(text: str) -> float:
    import durationpy

    try:
        seconds = durationpy.from_str(text).total_seconds()
    except (durationpy.DurationError, OverflowError) as error:
        raise ValueError(text) from error
    if not 0 <= seconds <= _MAX_SECONDS:
        raise ValueError(text)
    return float(seconds)


def _positive_seconds(text: str) -> float:
    seconds = _seconds(text)
    if seconds < _MIN_SECONDS:
        raise ValueError(text)
    return seconds


def integer(low: int, high: int) -> Parser:
    """Return a parser for a whole number from `low` to `high`."""

    def parse(text: str) -> int:
        number = int(text)
        if not low <= number <= high:
            raise ValueError(text)
        return number

    return Parser(parse, f"a whole number from {low} to {high}")


def fraction(text: str) -> float:
    """Parse a number from 0 to 1. Raises ValueError."""
    number = float(text)
    if not 0 <= number <= 1:
        raise ValueError(text)
    return number


def choice(*options: str) -> Parser:
    """Return a parser for one of these options."""

    def parse(text: str) -> str:
        if text not in options:
            raise ValueError(text)
        return text

    return Parser(parse, " or ".join(options))


def _list(text: str) -> tuple[str, ...]:
    items = tuple(item.strip() for item in text.split(","))
    if not all(items):
        raise ValueError(text)
    return items


def _matching(pattern: str, allowed: str) -> Parser:
    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(text)
        return text

    return Parser(parse, allowed)


def _hex_digest(text: str) -> str:
    if len(text) != _SHA256_DIGITS or set(text.lower()) - set("0123456789abcdef"):
        raise ValueError(text)
    return text.lower()


def _prefixes(text: str) -> tuple[str, ...]:
    prefixes = tuple(prefix.strip() for prefix in text.split(","))
    if not all(re.match(r"(s3|file)://", prefix, re.IGNORECASE) for prefix in prefixes):
        raise ValueError(text)
    return prefixes


def _origins(text: str) -> tuple[str, ...]:
    origins = _list(text)
    if not all(origin == "*" or re.fullmatch(_ORIGIN_PATTERN, origin) for origin in origins):
        raise ValueError(text)
    return origins


def _buckets(text: str) -> tuple[str, ...]:
    buckets = _list(text)
    if not all(re.fullmatch(_BUCKET_PATTERN, bucket) for bucket in buckets):
        raise ValueError(text)
    return buckets


def is_version_label(text: str) -> bool:
    """Whether the text is valid as a version or a revision, which are used in headers, labels and URLs."""
    return re.fullmatch(_VERSION_PATTERN, text) is not None


def is_segment(text: str) -> bool:
    """Whether the text is valid as a model's name, which is one segment of a URL's path."""
    return re.fullmatch(_SEGMENT_PATTERN, text) is not None


def _reply_type(text: str) -> str | None:
    if not (text.isascii() and text.isprintable()):
        raise ValueError(text)
    return None if text.lower() == "none" else text


TEXT: Final = Parser(str, "text")
REPLY_TYPE: Final = Parser(_reply_type, "the type of an event in printable ASCII, such as ml.prediction.v1, or none")
NAME: Final = _matching(_SEGMENT_PATTERN, SEGMENT)
VERSION: Final = _matching(_VERSION_PATTERN, VERSION_LABEL)
LIST: Final = Parser(_list, "a comma-separated list")
PATH: Final = Parser(Path, "a path")
DIGEST: Final = Parser(_hex_digest, "64 hexadecimal digits")
PREFIXES: Final = Parser(_prefixes, "a comma-separated list of prefixes such as s3://models/ and file:///models/")
ORIGINS: Final = Parser(_origins, "* or a comma-separated list of origins such as https://app.example.com")
LOG: Final = Parser(lambda text: None if text == "off" else text, "sink, the path of a file, or off")
BUCKETS: Final = Parser(_buckets, "a comma-separated list of the names of buckets, without s3://")
SWITCH: Final = Parser(lambda text: {"true": True, "false": False}[text.lower()], "true or false")
TIMEOUT: Final = Parser(_positive_seconds, "a duration from 1ms to 24h, such as 100ms, 1s or 1m30s")
FRACTION: Final = Parser(fraction, "a number from 0 to 1, such as 0.05")
DURATION: Final = Parser(_seconds, "a duration from 0s to 24h, such as 100ms, 1s or 1m30s")
