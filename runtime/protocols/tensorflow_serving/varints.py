"""Whole numbers as packed varints of protobuf, with NumPy: a Python object per number would cost ten times as much."""

from typing import Final

import numpy as np

_AT_ONCE: Final = 64 * 1024  # numbers of one step: the groups of a number temporarily take up to 80 bytes
_GROUP: Final = 7  # bits
_BITS: Final = np.uint64(0x7F)
_MORE: Final = 7  # the bit that is set if another group follows


def packed(numbers: np.ndarray) -> bytes:
    """Return an array of one axis as varints; a negative number takes ten bytes, as in int32 and int64."""
    return b"".join(_packed(numbers[at : at + _AT_ONCE]) for at in range(0, len(numbers), _AT_ONCE))


def _packed(numbers: np.ndarray) -> bytes:
    wide = numbers.astype(np.int64).view(np.uint64) if numbers.dtype.kind == "i" else numbers.astype(np.uint64)
    width = max(1, -(-int(wide.max()).bit_length() // _GROUP))  # groups of the largest
    if width == 1:
        return wide.astype(np.uint8).tobytes()
    shifted = wide[:, np.newaxis] >> (np.arange(width, dtype=np.uint64) * np.uint64(_GROUP))
    needed = shifted != 0
    needed[:, 0] = True
    groups = (shifted & _BITS).astype(np.uint8)
    groups[:, :-1] |= needed[:, 1:].astype(np.uint8) << _MORE
    content: bytes = groups[needed].tobytes()
    return content
