"""Readers of JSON values: each checks one type. An error has the path of the field, the value, and what is expected.

A reader takes the value and its path, and raises ValueError.
"""

# ruff: noqa: ANN401 - JSON values are of any type

import json
import math
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

T = TypeVar("T")
Read = Callable[[Any, str], T]  # the JSON value and its path, for the error

_SHOWN: Final = 60  # characters of a wrong value
_HEX: Final = frozenset("0123456789abcdef")
_HEX_DIGITS: Final = 64


_REQUIRED: Final[Any] = object()


def field(data: Any, at: str, name: str, read: Read[T], *, default: T = _REQUIRED) -> T:
    """Read one field of an object; with a `default`, it may be missing. Raises ValueError with its path."""
    place = f"{at}.{name}" if at else name
    if not isinstance(data, dict):
        raise wrong(at or "the document", data, "an object")
    if name not in data:
        if default is not _REQUIRED:
            return default
        raise ValueError(f"{place}: missing")
    return read(data[name], place)


def loads(text: str | bytes) -> Any:
    """Parse JSON. Raises ValueError."""
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("the document: nested too deeply") from error


def check_version(data: Any, known: int) -> None:
    """Raise ValueError if the field `schemaVersion` of a document is not the known version."""
    version = field(data, "", "schemaVersion", integer)
    if version != known:
        hint = "a newer scalezero wrote it" if version > known else "no scalezero wrote it"
        raise ValueError(f"schemaVersion: got {version}; expected {known}; {hint}")


def camel(name: str) -> str:
    """Return the name of a field in JSON: `per_row` is `perRow`."""
    first, *others = name.split("_")
    return first + "".join(map(str.capitalize, others))


def wrong(at: str, value: object, expected: str) -> ValueError:
    """Return the error for a value that is not as expected."""
    shown = repr(value)
    return ValueError(f"{at}: got {shown[:_SHOWN]}{'...' if len(shown) > _SHOWN else ''}; expected {expected}")


def text(value: Any, at: str) -> str:
    """Read a string."""
    if not isinstance(value, str):
        raise wrong(at, value, "a string")
    return value


def integer(value: Any, at: str) -> int:
    """Read an integer; true and false are none."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise wrong(at, value, "an integer")
    return value


def size(value: Any, at: str) -> int:
    """Read an integer from 0."""
    if integer(value, at) < 0:
        raise wrong(at, value, "at least 0")
    return int(value)


def number(value: Any, at: str) -> float:
    """Read a finite number."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise wrong(at, value, "a number")
    try:
        read = float(value)
    except OverflowError:  # an integer
        read = math.inf
    if not math.isfinite(read):
        raise wrong(at, value, "a number")
    return read


def amount(value: Any, at: str) -> float:
    """Read a finite number from 0."""
    if (read := number(value, at)) < 0:
        raise wrong(at, value, "a number of at least 0")
    return read


def digest(value: Any, at: str) -> str:
    """Read a SHA-256 in lower-case hex."""
    if len(text(value, at)) != _HEX_DIGITS or not _HEX.issuperset(value):
        raise wrong(at, value, f"{_HEX_DIGITS} hexadecimal digits in lower case")
    return str(value)


def one_of(allowed: Sequence[Any]) -> Read[Any]:
    """Return a reader of some values, such as those of a Literal."""

    def read_one(value: Any, at: str) -> Any:
        if value not in allowed:
            raise wrong(at, value, f"one of {', '.join(allowed)}")
        return value

    return read_one


def optional(read: Read[T]) -> Read[T | None]:
    """Return a reader that also accepts null, as None."""
    return lambda value, at: None if value is None else read(value, at)


def list_of(read: Read[T]) -> Read[tuple[T, ...]]:
    """Return a reader of lists."""

    def read_list(value: Any, at: str) -> tuple[T, ...]:
        if not isinstance(value, list):
            raise wrong(at, value, "a list")
        return tuple(read(each, f"{at}[{index}]") for index, each in enumerate(value))

    return read_list


def mapping_of(read: Read[T]) -> Read[dict[str, T]]:
    """Return a reader of objects with any fields."""

    def read_mapping(value: Any, at: str) -> dict[str, T]:
        if not isinstance(value, dict):
            raise wrong(at, value, "an object")
        return {name: read(each, f"{at}.{name}") for name, each in value.items()}

    return read_mapping
