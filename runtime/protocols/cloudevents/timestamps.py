"""The attribute `time` of events that are made in large numbers. Pure."""

from time import gmtime, strftime


class Timestamps:
    """Writes times as RFC 3339 in UTC. The text of a second is made once."""

    def __init__(self, digits: int) -> None:
        """`digits`: of the fraction of a second."""
        self._units = 10**digits  # in a second
        self._form = b"%%b.%%0%ddZ" % digits
        self._second = -1
        self._text = b""

    def at(self, now: float) -> bytes:
        """Return a time in seconds since the epoch, such as `2026-04-05T17:31:00.042Z` with three digits."""
        second, fraction = divmod(int(now * self._units), self._units)
        if second != self._second:
            self._second = second
            self._text = strftime("%Y-%m-%dT%H:%M:%S", gmtime(second)).encode()
        return self._form % (self._text, fraction)
