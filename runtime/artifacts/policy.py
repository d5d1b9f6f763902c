"""How hard a pull tries, and what it may use: values only."""

from dataclasses import dataclass
from typing import NamedTuple

from runtime.errors import BadSetting

MIB = 1024 * 1024
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class PullPolicy:
    """The limits of one pull. Memory does not grow with the object: a part goes to disk as it comes, in small pieces.

    Raises `BadSetting` where a value cannot work.
    """

    part_bytes: int = 8 * MIB  # one ranged GET; up to this size an object takes one round trip altogether
    concurrency: int = 4  # GETs at a time: enough to fill a pod's network, few enough for its memory
    stall_timeout: float = 10.0  # seconds without a byte until a connection counts as dead
    patience: float = 15.0  # seconds without a new byte until the caller gets an error
    deadline: float = 300.0  # seconds for the whole pull, whatever progress it makes
    max_bytes: int = 64 * GIB  # a model with its external data; more than any that a CPU serves

    def __post_init__(self) -> None:
        if self.part_bytes < 1:
            raise BadSetting("part_bytes", value=self.part_bytes, allowed="at least 1 byte")
        if self.max_bytes < 1:
            raise BadSetting("max_bytes", value=self.max_bytes, allowed="at least 1 byte")
        if self.concurrency < 1:
            raise BadSetting("concurrency", value=self.concurrency, allowed="at least 1")
        for name in ("stall_timeout", "patience", "deadline"):
            if not getattr(self, name) > 0:  # a NaN fails this too
                raise BadSetting(name, value=getattr(self, name), allowed="more than 0 seconds")


class Part(NamedTuple):
    """The bytes [start, end) of an object."""

    start: int
    end: int


def remaining_parts(size: int, *, have: int, part_bytes: int) -> list[Part]:
    """Cut what is left after the first `have` bytes into parts of at most `part_bytes`, in order."""
    return [Part(start, min(start + part_bytes, size)) for start in range(have, size, part_bytes)]
