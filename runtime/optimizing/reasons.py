"""The text of a reason that a library gives: one line of limited length. Pure."""

import os
from typing import Final

from runtime.artifacts.cache import DISK_FULL_ERRORS

_SHOWN: Final = 200  # characters


def one_line(text: str) -> str:
    """Return the text on one line; the rest of a long one is left out."""
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else f"{line[: _SHOWN - 3]}..."


def reason_of(error: Exception) -> str:
    """Return an exception's text. Unless it is a ValueError, which is ours, its name precedes it."""
    name = "" if type(error) is ValueError else type(error).__name__
    return one_line(": ".join(each for each in (name, str(error).strip()) if each))


def disk_full(error: Exception) -> str | None:
    """Return why no other file can be written either: no space, a quota, or a limit of this process; else None.

    A library may have put the text of the error into one of its own.
    """
    texts = {each: os.strerror(each) for each in DISK_FULL_ERRORS}
    number = getattr(error, "errno", None)
    return texts.get(number or 0) or next((text for text in texts.values() if text in str(error)), None)
