"""JSON of any size in steps: what Flask writes for the author's function, without stopping the event loop.

The standard library's encoder in C holds the GIL from the first value to the last, some 0.4 s for a million numbers,
whichever thread it runs on. Its encoder in Python writes the same text in about twice the time, and lets other threads
run. So what is large goes through that one.
"""

from collections.abc import Callable, Iterator
from itertools import islice
from json import JSONEncoder
from typing import Any, Final

import numpy as np

_LARGE: Final = 50_000  # values in lists and objects
_JOINED: Final = 10_000  # pieces of text; joining holds the GIL too


class StepwiseEncoder(JSONEncoder):
    """Writes what `JSONEncoder` writes."""

    def encode(self, o: Any) -> str:  # noqa: ANN401 - any JSON value
        """The value as text."""
        if not is_large(o):
            return super().encode(o)
        return "".join(_in_groups(self.iterencode(o)))


def is_large(value: object, limit: int = _LARGE) -> bool:
    """Whether there are more than `limit` values in it, itself included; looks at no more than that."""
    seen = 0
    waiting: list[Iterator[object]] = [iter((value,))]
    while waiting:
        for each in waiting[-1]:
            seen += each.size if isinstance(each, np.ndarray) else 1
            if seen > limit:
                return True
            if isinstance(each, (list, tuple)):
                waiting.append(iter(each))
                break
            if isinstance(each, dict):
                waiting.append(iter(each.values()))
                break
        else:
            waiting.pop()
    return False


def with_numpy(default: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A `default` for `JSONEncoder` that converts NumPy's arrays and scalars, and leaves the rest to `default`."""

    def converted(value: object) -> object:
        if isinstance(value, np.ndarray):
            return value.tolist()
        return value.item() if isinstance(value, np.generic) else default(value)

    return converted


def _in_groups(pieces: Iterator[str]) -> Iterator[str]:
    while group := "".join(islice(pieces, _JOINED)):
        yield group
