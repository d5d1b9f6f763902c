"""The order of a model's versions, and the number of each for protocols that support only numbers. Pure.

    number("7")         == 7            a whole number is itself
    number("1.2.3")     == 1_002_003    the parts after the first have three digits each; "1.2" equals "1.2.0"
    number("1.0.0-rc1") == 2**62 + ...  any other text: the first 62 bits of its SHA-256

TensorFlow Serving's versions have the type int64. The numbers of whole-number versions have the order of the versions,
and so do the numbers of dotted versions. Different versions have different numbers, except "1" and "01", and "1.2" and
"1.2.0": one model cannot have both.
"""

import re
from collections.abc import Iterable
from typing import Final, TypeAlias

Order: TypeAlias = tuple[tuple[int, ...], bool, tuple[tuple[bool, int, str], ...], str]

_DIGEST_BASE: Final = 2**62  # numbers from digits are below, numbers from a digest are not
_PART: Final = 1000
# Patterns are compiled at the first comparison: most processes have one version and never compare.
_DOTTED: Final = r"([0-9]+)\.([0-9]{1,3})(?:\.([0-9]{1,3}))?"
_NUMBERS: Final = r"[vV]?([0-9]+(?:\.[0-9]+)*)(.*)"
_WORDS: Final = r"[0-9]+|[A-Za-z]+"


def number(version: str) -> int:
    """Return the number of a version, from 0 to 2**63 - 1."""
    value = _DIGEST_BASE
    if version.isascii() and version.isdecimal():
        value = int(version)
    elif dotted := re.fullmatch(_DOTTED, version):
        major, minor, patch = (int(part or 0) for part in dotted.groups())
        value = (major * _PART + minor) * _PART + patch
    return value if value < _DIGEST_BASE else _DIGEST_BASE + _digest(version)


def with_number(versions: Iterable[str], wanted: int) -> str | None:
    """Return the version that has this number; None: no version has it."""
    return next((version for version in versions if number(version) == wanted), None)


def order(version: str) -> Order:
    """Return a key that sorts versions: "9" before "10", "1.0.0-rc1" before "1.0.0", text without a number first.

    Source: Semantic Versioning 2.0.0, item 11, for versions of that form.
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
    """Return the parts of the text as sort keys: numbers are before words."""
    return tuple((False, int(word), "") if word.isdecimal() else (True, 0, word) for word in re.findall(_WORDS, text))


def _digest(version: str) -> int:
    from hashlib import sha256

    return int.from_bytes(sha256(version.encode()).digest()[:8], "big") >> 2
