"""The handles of a guest, and the memory that they hold. Pure.

A handle is a number that the guest can make up, so every use is checked. A closed handle is never valid again.
"""

from collections.abc import Iterator
from typing import Final, Generic, TypeVar

from runtime.wasi_nn.faults import Code, NnError

T = TypeVar("T")
_LAST: Final = 2**32 - 1  # handles are unsigned numbers of 32 bits


class Table(Generic[T]):
    """Values by handle, from 0 on."""

    def __init__(self, what: str, *, limit: int) -> None:
        """Create an empty table; `what` is what it holds, for messages, and `limit` how many at a time."""
        self._what = what
        self._limit = limit
        self._values: dict[int, T] = {}
        self._next = 0

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[tuple[int, T]]:
        return iter(list(self._values.items()))

    def reserve(self) -> None:
        """Raise `NnError` (too-large) if no further value may be added."""
        if len(self._values) >= self._limit or self._next > _LAST:
            message = f"the guest holds {len(self._values)} of {self._what}; expected at most {self._limit} at a time"
            raise NnError(Code.TOO_LARGE, message)

    def add(self, value: T) -> int:
        """Return the handle of a new value. Raises `NnError` (too-large)."""
        self.reserve()
        handle = self._next
        self._next += 1
        self._values[handle] = value
        return handle

    def get(self, handle: int) -> T:
        """Return the value. Raises `NnError` (invalid-argument) for a handle that is forged or closed."""
        try:
            return self._values[handle]
        except KeyError:
            raise self._unknown(handle) from None

    def remove(self, handle: int) -> T:
        """Remove the value and return it. Raises `NnError` (invalid-argument) for a handle that is forged or closed."""
        try:
            return self._values.pop(handle)
        except KeyError:
            raise self._unknown(handle) from None

    def clear(self) -> None:
        """Remove all values. Their handles stay invalid."""
        self._values.clear()

    def _unknown(self, handle: int) -> NnError:
        return NnError(Code.INVALID_ARGUMENT, f"{self._what}: got the handle {handle}, which is not open")


class Budget:
    """The bytes that a guest's tensors hold in the host."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.held = 0

    def take(self, count: int) -> None:
        """Count further bytes. Raises `NnError` (too-large) if they exceed the limit; then nothing is counted."""
        if self.held + count > self._limit:
            message = f"the tensors of the guest: got {self.held + count} bytes; expected at most {self._limit} in all"
            raise NnError(Code.TOO_LARGE, message)
        self.held += count

    def give(self, count: int) -> None:
        """Stop counting bytes that `take` has counted."""
        self.held -= count
