"""The document while it is read: the containers that are open, from the root to where the text has come to.

Each part of the text goes to the innermost container, as parsed by orjson. A list keeps numbers in one flat buffer,
which the lists within it share: of `[[1, 2], [3, 4]]` the outer list holds the buffer, and each closed inner list only
counts as one more row. What is no array of one shape and type becomes Python objects, of which a body may make a
bounded number: they take ten and more times the memory of their text, and the time of whoever looks at them.
"""

import math
from collections.abc import Generator
from typing import Any, Final, cast

import numpy as np

from runtime.errors import InvalidInput
from runtime.protocols.json.buffers import Numbers, regular

MOST_VALUES: Final = 1_000_000  # Python objects made from one body
# Values that a list or an object counts as: the garbage collector visits each one, with the event loop stopped.
_CONTAINER: Final = 8
# Values that a member of a long object counts as, whose table is made anew, and a number taken back from an array.
_MEMBER: Final = 4


class OpenList:
    """A list whose end has not come: `items` once it holds more than numbers, else `count` rows in `numbers`."""

    __slots__ = ("count", "items", "numbers", "row")

    def __init__(self, numbers: Numbers) -> None:
        self.numbers = numbers
        self.items: list[Any] | None = None
        self.count = 0
        self.row: tuple[int, ...] | None = None  # the shape of each row, once there is one

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the array so far."""
        return (self.count, *(self.row or ()))

    def add(self, array: np.ndarray | None) -> bool:
        """Add the rows of an array, if there is one, and they are of the same shape and of a type that fits."""
        if array is None or self.row not in (None, array.shape[1:]) or not self.numbers.append(array):
            return False
        return self.count_rows(len(array), array.shape[1:])

    def count_rows(self, count: int, row: tuple[int, ...]) -> bool:
        """Count rows that are in the buffer, if they are of the same shape."""
        if self.row not in (None, row):
            return False
        self.count += count
        self.row = row
        return True


class OpenObject:
    """An object whose end has not come; `key` is the last one, whose value may be open too."""

    __slots__ = ("items", "key")

    def __init__(self) -> None:
        self.items: dict[str, Any] = {}
        self.key = ""


class Tree:
    """The open containers, innermost last. `root` is the document once it is closed."""

    __slots__ = ("_values", "open", "root")

    def __init__(self) -> None:
        self.open: list[OpenList | OpenObject] = []
        self.root: Any = None
        self._values = 0

    def push(self, *, is_list: bool, key: str, room: int) -> None:
        """Open a container within the innermost one, as the value of `key` if that is an object."""
        outer = self.open[-1] if self.open else None
        if isinstance(outer, OpenObject):
            outer.key = key
            outer.items[key] = None  # the first of equal keys says the place, the last one the value
        if not is_list:
            self._count(_CONTAINER)
            if isinstance(outer, OpenList):
                self._objects_of(outer)
            self.open.append(OpenObject())
        elif isinstance(outer, OpenList) and outer.items is None:
            self.open.append(OpenList(outer.numbers))
        else:
            self.open.append(OpenList(Numbers(room)))

    def take(self, values: Any, text: bytes) -> None:  # noqa: ANN401 - a list or an object, as the innermost container is
        """Add what orjson made of the text to the innermost container."""
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

    def take_rows(self, numbers: list[Any], text: bytes, shape: tuple[int, ...]) -> bool:
        """Add rows of numbers, given flat, to the innermost container; False where it cannot hold them as such."""
        top = self.open[-1]
        if not isinstance(top, OpenList) or top.items is not None:
            return False
        array = regular(numbers, text)
        return top.add(None if array is None else array.reshape(shape))

    def replace_last(self, value: str) -> None:
        """Set the value that came last in the innermost container."""
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
        """The Python objects of the innermost list; if it held numbers, so did the lists that share its buffer."""
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
        # Commas and brackets within strings count too: this is a bound.
        self._count(comma * (1 + text.count(b",")) + _CONTAINER * (text.count(b"[") + text.count(b"{")))

    def _count(self, values: int) -> None:
        self._values += values
        if self._values > MOST_VALUES:
            raise InvalidInput(
                "body",
                got=f"more than {MOST_VALUES:,} values outside of arrays of numbers",
                expected="numbers in lists of equal length, or fewer values "
                f"(a list or an object counts as {_CONTAINER}): send a large batch by column, or in parts",
            )
