"""Encodes and decodes JSON of any size in steps, so that Flask's JSON does not block the event loop.

The standard library's C encoder and decoder hold the GIL until they have processed the whole value: about 0.4 s for a
million numbers, on any thread. Its Python encoder writes the same text in about twice the time, and lets other threads
run, so it encodes large values. The decoder lets other threads run whenever it calls Python code, so it converts the
numbers and objects of a large text with functions in Python, which takes as long.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from json import JSONDecoder, JSONEncoder
from typing import Any, Final

import numpy as np

_LARGE: Final = 50_000  # values in lists and objects
_LARGE_TEXT: Final = 256 * 1024  # characters
_JOINED: Final = 10_000  # pieces of text that are joined at once; joining holds the GIL too


class StepwiseEncoder(JSONEncoder):
    """An encoder with the same output as `JSONEncoder`."""

    def encode(self, o: Any) -> str:  # noqa: ANN401 - any JSON value
        """Return the value as text."""
        if not is_large(o):
            return super().encode(o)
        return "".join(_in_groups(self.iterencode(o)))


class StepwiseDecoder(JSONDecoder):
    """A decoder with the same results as `JSONDecoder`."""

    def __init__(self, **options: Any) -> None:  # noqa: ANN401 - as in JSONDecoder
        super().__init__(**options)
        self._options = options

    def decode(self, s: str, *arguments: Any) -> Any:  # noqa: ANN401 - any JSON value
        """Return the value of the text."""
        if len(s) < _LARGE_TEXT:
            return super().decode(s, *arguments)
        hooks = {"parse_float": _float, "parse_int": _int, "object_hook": _unchanged}
        chosen = {name: value for name, value in self._options.items() if value is not None}
        return JSONDecoder(**{**hooks, **chosen}).decode(s, *arguments)


def _float(text: str) -> float:
    return float(text)


def _int(text: str) -> int:
    return int(text)


def _unchanged(members: dict[str, Any]) -> dict[str, Any]:
    return members


def is_large(value: object, limit: int = _LARGE) -> bool:
    """Return whether a value has more than `limit` values, including itself; stops counting at the limit."""
    count = 0
    stack: list[Iterator[object]] = [iter((value,))]
    while stack:
        for each in stack[-1]:
            count += each.size if isinstance(each, np.ndarray) else 1
            if count > limit:
                return True
            if isinstance(each, (list, tuple)):
                stack.append(iter(each))
                break
            if isinstance(each, dict):
                stack.append(iter(each.values()))
                break
        else:
            stack.pop()
    return False


def with_numpy(default: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a `default` for `JSONEncoder` that converts NumPy's values, and passes all others to `default`."""

    def converted(value: object) -> object:
        if isinstance(value, np.ndarray):
            return value.tolist()
        return value.item() if isinstance(value, np.generic) else default(value)

    return converted


def _in_groups(pieces: Iterator[str]) -> Iterator[str]:
    while group := "".join(islice(pieces, _JOINED)):
        yield group
