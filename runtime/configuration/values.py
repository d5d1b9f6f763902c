"""How the text of a setting becomes its value. Pure."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

_LONGEST: Final = 24 * 3600.0  # seconds
_SHORTEST: Final = 0.001
_SHA256_DIGITS: Final = 64
WORD: Final = "at most 63 letters, digits and . + _ -, as it goes into a header"
SEGMENT: Final = "one segment of a URL's path, without / and control characters, and neither . nor .."
_WORD_PATTERN: Final = r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,62}"
_ORIGIN_PATTERN: Final = r"https?://[0-9A-Za-z.-]+(:[0-9]{1,5})?"
_SEGMENT_PATTERN: Final = r"(?!\.{1,2}$)[^/\s\x00-\x1f\x7f]([^/\x00-\x1f\x7f]*[^/\s\x00-\x1f\x7f])?"


class Parser(NamedTuple):
    """How a setting is read from text; `parse` raises `ValueError` or `KeyError`, `allowed` says what it would take."""

    parse: Callable[[str], object]
    allowed: str


def _seconds(text: str) -> float:
    import durationpy

    try:
        seconds = durationpy.from_str(text).total_seconds()
    except (durationpy.DurationError, OverflowError) as error:
        raise ValueError(text) from error
    if not 0 <= seconds <= _LONGEST:
        raise ValueError(text)
    return float(seconds)


def _positive_seconds(text: str) -> float:
    seconds = _seconds(text)
    if seconds < _SHORTEST:
        raise ValueError(text)
    return seconds


def whole(low: int, high: int) -> Parser:
    """A whole number within these bounds."""

    def parse(text: str) -> int:
        number = int(text)
        if not low <= number <= high:
            raise ValueError(text)
        return number

    return Parser(parse, f"a whole number from {low} to {high}")


def choice(*words: str) -> Parser:
    """One of these words."""

    def parse(text: str) -> str:
        if text not in words:
            raise ValueError(text)
        return text

    return Parser(parse, " or ".join(words))


def _words(text: str) -> tuple[str, ...]:
    words = tuple(word.strip() for word in text.split(","))
    if not all(words):
        raise ValueError(text)
    return words


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
    origins = _words(text)
    if not all(origin == "*" or re.fullmatch(_ORIGIN_PATTERN, origin) for origin in origins):
        raise ValueError(text)
    return origins


def is_word(text: str) -> bool:
    """Whether the text may be a version or a revision: it goes into headers, labels and URLs."""
    return re.fullmatch(_WORD_PATTERN, text) is not None


def is_segment(text: str) -> bool:
    """Whether the text may be a model's name: it is one segment of a URL's path."""
    return re.fullmatch(_SEGMENT_PATTERN, text) is not None


TEXT: Final = Parser(str, "text")
NAME: Final = _matching(_SEGMENT_PATTERN, SEGMENT)
VERSION: Final = _matching(_WORD_PATTERN, WORD)
LIST: Final = Parser(_words, "a comma-separated list")
PATH: Final = Parser(Path, "a path")
DIGEST: Final = Parser(_hex_digest, "64 hexadecimal digits")
PREFIXES: Final = Parser(_prefixes, "a comma-separated list of prefixes such as s3://models/ and file:///models/")
ORIGINS: Final = Parser(_origins, "* or a comma-separated list of origins such as https://app.example.com")
SWITCH: Final = Parser(lambda text: {"true": True, "false": False}[text.lower()], "true or false")
TIMEOUT: Final = Parser(_positive_seconds, "a duration from 1ms to 24h, such as 100ms, 1s or 1m30s")
DURATION: Final = Parser(_seconds, "a duration from 0s to 24h, such as 100ms, 1s or 1m30s")
