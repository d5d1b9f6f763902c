"""Which requests are logged if not all of them are. Pure.

A request with an ID is chosen by that ID. So the log has either all predictions of a request or none, also if it passes
several functions. Other requests are chosen at random.
"""

import random
import zlib
from typing import Final

_RANGE: Final = 2**32


def is_chosen(share: float, key: str | None) -> bool:
    """Return whether a request belongs to the share, from 0 to 1. `key` is its ID; None: it has none."""
    if share >= 1.0:
        return True
    if key is None:
        return random.random() < share  # noqa: S311 - a sample is no secret
    return zlib.crc32(key.encode()) < share * _RANGE


def key_of(request_id: str | None, trace: str | None, id: str) -> str | None:  # noqa: A002 - as in `Query`
    """Return the ID that several functions would see: that of the trace, else of the request; None: it has none."""
    if trace is not None and trace.count("-") == 3:  # noqa: PLR2004 - version-trace-parent-flags
        return trace.split("-")[1]
    return request_id or id or None
