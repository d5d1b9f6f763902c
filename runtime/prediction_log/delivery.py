"""What a response of the sink means, and how long to wait after a failure. Pure.

A message is sent again in the cases in which Knative would deliver its event again.
"""

import random
from enum import Enum
from typing import Final

from runtime.status import is_delivered_again

MAX_ATTEMPTS: Final = 8  # for one message: about half a minute
_FIRST, _LONGEST = 0.1, 30.0  # seconds
_JITTER: Final = 0.2  # share of a pause, so that the pods of a revision do not return at the same time


class DeliveryResult(Enum):
    """What a response means for its message."""

    DELIVERED = "delivered"
    RETRY = "retry"
    REJECTED = "rejected"  # it is not sent again


def result_of(status: int) -> DeliveryResult:
    """Return what an HTTP status means for the message."""
    if 200 <= status < 300:  # noqa: PLR2004 - 2xx
        return DeliveryResult.DELIVERED
    return DeliveryResult.RETRY if is_delivered_again(status) else DeliveryResult.REJECTED


def pause(failures: int, retry_after: str | None = None) -> float:
    """Return the seconds to wait after this many failures in sequence. `retry_after`: the header, if there is one."""
    seconds = min(_FIRST * 2.0 ** min(failures - 1, 20), _LONGEST)
    if retry_after is not None and retry_after.isdecimal() and len(retry_after) < 6:  # noqa: PLR2004 - digits
        seconds = min(max(seconds, float(retry_after)), _LONGEST)
    return seconds * (1 + _JITTER * random.random())  # noqa: S311 - jitter is no secret
