"""Positions in the author's files, relative to the function's folder. Pure."""

from collections.abc import Iterable
from os.path import normpath
from pathlib import Path
from traceback import walk_stack, walk_tb
from types import FrameType


def failure(error: BaseException, folder: Path) -> str:
    """Return the exception's type, without its text, and the author's line, such as `KeyError at main.py:3`."""
    name = type(error).__name__
    place = None
    if isinstance(error, SyntaxError) and error.filename and error.lineno:
        place = _place(error.filename, error.lineno, folder)
    if place is None:
        frames = [(frame.f_code.co_filename, line) for frame, line in walk_tb(error.__traceback__)]
        place = _first(reversed(frames), folder)
    return f"{name} at {place}" if place else name


def line_of(frame: FrameType, folder: Path) -> str | None:
    """Return the innermost line of the author's files in the stack of a thread; None if the stack has no such line."""
    return _first(((each.f_code.co_filename, line) for each, line in walk_stack(frame)), folder)


def _first(lines: Iterable[tuple[str, int]], folder: Path) -> str | None:
    return next((place for file, line in lines if (place := _place(file, line, folder))), None)


def _place(file: str, line: int, folder: Path) -> str | None:
    path = Path(normpath(file))
    if not path.is_relative_to(folder):
        return None
    inside = path.relative_to(folder)
    return None if "site-packages" in inside.parts else f"{inside}:{line}"
