"""Versions of a model: their order, and the number of each for protocols that know only numbers. Pure.

    number("7")         == 7            a whole number is itself
    number("1.2.3")     == 1_002_003    parts behind the first one have three digits each; "1.2" is "1.2.0"
    number("1.0.0-rc1") == 2**62 + ...  every other text: the first 62 bits of its SHA-256

TensorFlow Serving's versions are of type int64. Numbers of whole numbers rise with them, and so do those of dotted
versions. Versions that differ have different numbers, with the exception of "1", "01" and of "1.2", "1.2.0": one model
cannot have both.
"""

import re
from collections.abc import Iterable
from typing import Final, TypeAlias

Order: TypeAlias = tuple[tuple[int, ...], bool, tuple[tuple[bool, int, str], ...], str]

_LARGEST: Final = 2**62  # of what is read from digits; numbers from a digest are above it
_PART: Final = 1000
# Patterns are compiled when a version is compared: most processes have one and never do.
_DOTTED: Final = r"([0-9]+)\.([0-9]{1,3})(?:\.([0-9]{1,3}))?"
_NUMBERS: Final = r"[vV]?([0-9]+(?:\.[0-9]+)*)(.*)"
_WORDS: Final = r"[0-9]+|[A-Za-z]+"


def number(version: str) -> int:
    """The number of a version, from 0 to 2**63 - 1."""
    value = _LARGEST
    if version.isascii() and version.isdecimal():
        value = int(version)
    elif dotted := re.fullmatch(_DOTTED, version):
        major, minor, patch = (int(part or 0) for part in dotted.groups())
        value = (major * _PART + minor) * _PART + patch
    return value if value < _LARGEST else _LARGEST + _digest(version)


def numbered(versions: Iterable[str], wanted: int) -> str | None:
    """The version of that number, if it is among these."""
    return next((version for version in versions if number(version) == wanted), None)


def order(version: str) -> Order:
    """A key that sorts versions: "9" before "10", "1.0.0-rc1" before "1.0.0", text without a number before all.

    Source: Semantic Versioning 2.0.0, item 11, for what follows its form.
    """
    found = re.fullmatch(_NUMBERS, version)
    if found is None:
        return (), False, _words(version), version
    numbers = [int(part) for part in found[1].split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    final = not found[2] or found[2].startswith("+")
    return tuple(numbers), final, _words(found[2]), version


def _words(text: str) -> tuple[tuple[bool, int, str], ...]:
    """Its numbers, in their order, before its words, in theirs."""
    return tuple((False, int(word), "") if word.isdecimal() else (True, 0, word) for word in re.findall(_WORDS, text))


def _digest(version: str) -> int:
    from hashlib import sha256

    return int.from_bytes(sha256(version.encode()).digest()[:8], "big") >> 2
