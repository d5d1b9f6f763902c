"""The decision whether a run happens on the event loop: only if runs of such shapes are known to be short. Pure.

All axes count, not only the rows: one row with a long sequence may take seconds. A shape runs on the loop if no axis is
longer than that of a shape whose last run was short. All other shapes run on the worker, and their durations are
learned there. A model with operators whose cost depends on values never runs on the loop
(`runtime/model/operators.py`).
"""

from typing import Final, TypeAlias

INLINE_SECONDS: Final = 0.001  # a longer run on the loop would delay other requests
_MAX_SHAPES: Final = 64  # shapes to remember

Shapes: TypeAlias = (
    tuple[tuple[int, ...], ...] | None
)  # the shape of one row of each input; None: all rows have one shape


class Inlining:
    """The shapes of one model whose runs are short."""

    __slots__ = ("_allowed", "_quick")

    def __init__(self, *, allowed: bool) -> None:
        """Set `allowed` if the cost of a run depends only on the shapes of its inputs."""
        self._allowed = allowed
        self._quick: dict[Shapes, int] = {}  # shape of a row -> maximum rows

    def fits(self, rows: int, shapes: Shapes) -> bool:
        """Return whether a run of `rows` rows of this shape may happen on the loop."""
        if not self._allowed:
            return False
        if rows <= self._quick.get(shapes, -1):
            return True
        return any(rows <= max_rows and _within(shapes, other) for other, max_rows in self._quick.items())

    def learn(self, rows: int, shapes: Shapes, seconds: float) -> None:
        """Add the measurement of one finished run."""
        if seconds > INLINE_SECONDS:
            for other, max_rows in self._quick.items():
                if rows <= max_rows and _within(shapes, other):
                    self._quick[other] = rows - 1
        elif rows > self._quick.get(shapes, -1):
            if len(self._quick) >= _MAX_SHAPES and shapes not in self._quick:
                del self._quick[next(iter(self._quick))]
            self._quick[shapes] = rows


def _within(shapes: Shapes, other: Shapes) -> bool:
    """Return whether no axis is longer than the same axis of `other`."""
    if shapes is None or other is None or shapes == other:
        return shapes == other
    return len(shapes) == len(other) and all(
        len(shape) == len(limits) and all(size <= limit for size, limit in zip(shape, limits, strict=True))
        for shape, limits in zip(shapes, other, strict=True)
    )
