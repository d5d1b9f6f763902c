"""The document while it is parsed: the open containers, from the root to the current one.

orjson parses each part of the text, and its values are added to the innermost container. A list collects numbers in
one flat buffer, which the lists within it share: of `[[1, 2], [3, 4]]` the outer list owns the buffer, and each closed
inner list only adds one to the count of rows. Values that are not an array of one shape and type become Python
objects. Their number is bounded, because they take ten and more times the memory of their text, and time at every
later step.
"""

import math
from collections.abc import Generator
from typing import Any, Final, cast

import numpy as np

from runtime.errors import InvalidInput
from runtime.protocols.json.buffers import Numbers, regular

MAX_VALUES: Final = 1_000_000  # Python objects made from one body
# A list or an object counts as this many values: the garbage collector visits each one, and blocks the event loop.
_CONTAINER: Final = 8
# A member of a long object, whose hash table is resized, and a number that is removed from an array count as this many.
_MEMBER: Final = 4


class OpenList:
    """A list that is not closed yet: `count` rows in `numbers`, or `items` if it has more than numbers."""

    __slots__ = ("count", "items", "numbers", "row")

    def __init__(self, numbers: Numbers) -> None:
        self.numbers = numbers
        self.items: list[Any] | None = None
        self.count = 0
        self.row: tuple[int, ...] | None = None  # the shape of each row; None: there is no row yet

    @property
    def shape(self) -> tuple[int, ...]:
        """The current shape of the array."""
        return (self.count, *(self.row or ()))

    def add(self, array: np.ndarray | None) -> bool:
        """Add the rows of an array if their shape and type fit; return whether they were added."""
        if array is None or self.row not in (None, array.shape[1:]) or not self.numbers.append(array):
            return False
        return self.count_rows(len(array), array.shape[1:])

    def count_rows(self, count: int, row: tuple[int, ...]) -> bool:
        """Count rows that are in the buffer already if their shape fits; return whether they were counted."""
        if self.row not in (None, row):
            return False
        self.count += count
        self.row = row
        return True


class OpenObject:
    """An object that is not closed yet; `key` is the last one, whose value may be open too."""

    __slots__ = ("items", "key")

    def __init__(self) -> None:
        self.items: dict[str, Any] = {}
        self.key = ""


class Tree:
    """The open containers, innermost last. `root` is the document when it is complete."""

    __slots__ = ("_values", "open", "root")

    def __init__(self) -> None:
        self.open: list[OpenList | OpenObject] = []
        self.root: Any = None
        self._values = 0

    def push(self, *, is_list: bool, key: str, room: int) -> None:
        """Open a container within the innermost one, as the value of `key` if that one is an object."""
        outer = self.open[-1] if self.open else None
        if isinstance(outer, OpenObject):
            outer.key = key
            outer.items[key] = None  # of equal keys, the first one decides the order, the last one the value
        if not is_list:
            self._count(_CONTAINER)
            if isinstance(outer, OpenList):
                self._objects_of(outer)
            self.open.append(OpenObject())
        elif isinstance(outer, OpenList) and outer.items is None:
            self.open.append(OpenList(outer.numbers))
        else:
            self.open.append(OpenList(Numbers(room)))

    def add(self, values: Any, text: bytes) -> None:  # noqa: ANN401 - a list or an object, like the innermost container
        """Add the values that orjson parsed from the text to the innermost container."""
        top = self.open[-1]
        if isinstance(top, OpenObject):
            self._count_in(text, comma=_MEMBER)
            top.items.update(values)
            top.key = next(reversed(values))
            return
        if top.items is None and top.add(regular(values, text)):
            return
        self._count_in(text)
        self._objects_of(top).extend(values)

    def add_rows(self, numbers: list[Any], text: bytes, shape: tuple[int, ...]) -> bool:
        """Add rows of numbers, given as a flat list, to the innermost container; return whether they fit its array."""
        top = self.open[-1]
        if not isinstance(top, OpenList) or top.items is not None:
            return False
        array = regular(numbers, text)
        return top.add(None if array is None else array.reshape(shape))

    def replace_last(self, value: str) -> None:
        """Replace the last value of the innermost container."""
        top = self.open[-1]
        if isinstance(top, OpenObject):
            top.items[top.key] = value
        else:
            self._objects_of(top)[-1] = value

    def pop(self) -> Generator[None, None, None]:
        """Close the innermost container, in steps."""
        closed = self.open[-1]
        outer = self.open[-2] if len(self.open) > 1 else None
        if isinstance(closed, OpenList) and closed.items is None and isinstance(outer, OpenList):
            if outer.items is None and outer.count_rows(1, closed.shape):
                self.open.pop()
                return
            if outer.items is None:  # a row of another shape
                self._objects_of(closed)
        self.open.pop()
        value: Any = closed.items
        if isinstance(closed, OpenList) and closed.items is None:
            value = yield from closed.numbers.finish(closed.shape)
        if outer is None:
            self.root = value
        elif isinstance(outer, OpenObject):
            outer.items[outer.key] = value
        else:
            self._objects_of(outer).append(value)

    def _objects_of(self, innermost: OpenList) -> list[Any]:
        """Return the Python objects of the innermost list; convert it and the lists that share its buffer if needed."""
        if innermost.items is not None:
            return innermost.items
        self._count(_MEMBER * innermost.numbers.size)
        for each in reversed(self.open):
            if not isinstance(each, OpenList) or each.items is not None:
                break
            self._count(_CONTAINER * (math.prod(each.shape[:-1]) if each.row else 0))
            each.items = each.numbers.take_back(each.shape) if each.count else []
        return cast("list[Any]", innermost.items)

    def _count_in(self, text: bytes, *, comma: int = 1) -> None:
        # An upper bound: commas and brackets within strings count too.
        self._count(comma * (1 + text.count(b",")) + _CONTAINER * (text.count(b"[") + text.count(b"{")))

    def _count(self, values: int) -> None:
        self._values += values
        if self._values > MAX_VALUES:
            raise InvalidInput(
                "body",
                got=f"more than {MAX_VALUES:,} values outside of arrays of numbers",
                expected="numbers in lists of equal length, or fewer values "
                f"(a list or an object counts as {_CONTAINER}): send a large batch by column, or in several requests",
            )
