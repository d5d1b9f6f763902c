"""The limits of a pull: values only."""

from dataclasses import dataclass
from typing import NamedTuple

from runtime.errors import BadSetting

MIB = 1024 * 1024
GIB = 1024 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class PullPolicy:
    """The limits of one pull. Memory use does not depend on the object's size: parts are written in small pieces.

    Raises `BadSetting` for an invalid value.
    """

    part_bytes: int = 8 * MIB  # size of one ranged GET; an object up to this size takes one round trip in total
    concurrency: int = 4  # concurrent GETs: enough to use a pod's bandwidth, few enough for its memory
    stall_timeout: float = 10.0  # seconds without a byte until a connection counts as dead
    progress_timeout: float = 15.0  # seconds without a new byte until the pull fails
    deadline: float = 300.0  # seconds for the complete pull, even if it makes progress
    max_bytes: int = 64 * GIB  # limit of a model with its external data; larger than any model for a CPU

    def __post_init__(self) -> None:
        if self.part_bytes < 1:
            raise BadSetting("part_bytes", value=self.part_bytes, allowed="at least 1 byte")
        if self.max_bytes < 1:
            raise BadSetting("max_bytes", value=self.max_bytes, allowed="at least 1 byte")
        if self.concurrency < 1:
            raise BadSetting("concurrency", value=self.concurrency, allowed="at least 1")
        for name in ("stall_timeout", "progress_timeout", "deadline"):
            if not getattr(self, name) > 0:  # also refuses NaN
                raise BadSetting(name, value=getattr(self, name), allowed="more than 0 seconds")


class Part(NamedTuple):
    """The bytes [start, end) of an object."""

    start: int
    end: int


def remaining_parts(size: int, *, have: int, part_bytes: int) -> list[Part]:
    """Split the bytes after the first `have` bytes into parts of at most `part_bytes`, in order."""
    return [Part(start, min(start + part_bytes, size)) for start in range(have, size, part_bytes)]
