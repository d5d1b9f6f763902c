"""Whether a run stays on the event loop: only shapes within what has been seen to run in a moment. Pure.

Every axis counts, not only the rows: one row with a long sequence may take seconds. A shape is let through where no
axis is longer than that of a shape whose last run was quick; all else goes to the worker, and is learned from there.
A model with operators whose cost depends on values is never let through (`runtime/model/operators.py`).
"""

from typing import Final, TypeAlias

INLINE_SECONDS: Final = 0.001  # a longer run on the loop would be noticed by others
_MOST_SHAPES: Final = 64  # that are remembered

Shapes: TypeAlias = tuple[tuple[int, ...], ...] | None  # one row of each input; None where all rows have one shape


class Inlining:
    """The quick shapes of one model."""

    __slots__ = ("_allowed", "_quick")

    def __init__(self, *, allowed: bool) -> None:
        """`allowed` says whether the shapes of the inputs tell what a run costs."""
        self._allowed = allowed
        self._quick: dict[Shapes, int] = {}  # shape of a row -> most rows

    def fits(self, rows: int, shapes: Shapes) -> bool:
        """Whether a run of so many rows of that shape may stay on the loop."""
        if not self._allowed:
            return False
        if rows <= self._quick.get(shapes, -1):
            return True
        return any(rows <= most and _within(shapes, other) for other, most in self._quick.items())

    def learn(self, rows: int, shapes: Shapes, seconds: float) -> None:
        """Take in one finished run."""
        if seconds > INLINE_SECONDS:
            for other, most in self._quick.items():
                if rows <= most and _within(shapes, other):
                    self._quick[other] = rows - 1
        elif rows > self._quick.get(shapes, -1):
            if len(self._quick) >= _MOST_SHAPES and shapes not in self._quick:
                del self._quick[next(iter(self._quick))]
            self._quick[shapes] = rows


def _within(shapes: Shapes, other: Shapes) -> bool:
    """Whether no axis is longer than the other's."""
    if shapes is None or other is None or shapes == other:
        return shapes == other
    return len(shapes) == len(other) and all(
        len(mine) == len(theirs) and all(size <= most for size, most in zip(mine, theirs, strict=True))
        for mine, theirs in zip(shapes, other, strict=True)
    )
