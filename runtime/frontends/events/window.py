"""The window of known events: the replies to recent events, by source and id. Pure.

A sender that gets no answer in time, such as a Broker, delivers the same event again. A known event gets the same reply
again, without another inference. The window is bounded in time, in events and in bytes; the oldest event is forgotten
first. It belongs to one process: see docs/events.md.
"""

import marshal
from collections import deque
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final, NamedTuple, TypeAlias

from runtime.status import OK, is_delivered_again

Key: TypeAlias = tuple[str, str]  # the source and the id of an event
MAX_BYTES: Final = 32 * 2**20  # of all replies in the window
_LARGEST: Final = MAX_BYTES // 8  # of one reply; a larger one would push out too many others
_ENTRY: Final = 512  # bytes that Python needs for an entry, beside its texts
_FORMAT: Final = 2  # of marshal: without references, which take time to find
_OK: Final = HTTPStatus.OK.value


class Reply(NamedTuple):
    """The answer to one event as an HTTP response in binary mode; `code` is `OK` or an error's code.

    The headers are without those that the application adds to each response.
    """

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes
    code: str = OK

    @property
    def is_final(self) -> bool:
        """Whether the event gets the same answer each time: not if a later delivery of it can succeed."""
        return not is_delivered_again(self.status)


class Window:
    """The replies to recent events. Times are in seconds, on any one clock."""

    def __init__(self, *, seconds: float, events: int, max_bytes: int = MAX_BYTES) -> None:
        """Keep each reply for `seconds`, of at most `events` events, with at most `max_bytes` in all."""
        self.bytes = 0
        self._seconds = seconds
        self._events = events
        self._max_bytes = max_bytes
        self._largest = min(_LARGEST, max_bytes)
        self._replies: dict[Key, bytes] = {}  # bytes need less memory, and no work of the garbage collector
        self._oldest: deque[tuple[float, Key, int]] = deque()  # when a reply expires, its event, and its bytes

    def __len__(self) -> int:
        return len(self._replies)

    def find(self, key: Key, now: float) -> Reply | None:
        """Return the reply to a known event; None: the event is unknown, or was forgotten."""
        self._forget_before(now)
        packed = self._replies.get(key)
        if packed is None:
            return None
        status, headers, body, code = marshal.loads(packed)  # noqa: S302 - written by `store`
        return Reply(status, headers, body, code)

    def store(self, key: Key, reply: Reply, now: float) -> None:
        """Keep a final reply, and forget events that are too old or too many. Other replies are not kept."""
        if reply.status != _OK and not reply.is_final:
            return
        packed = marshal.dumps((reply.status, reply.headers, reply.body, reply.code), _FORMAT)  # type: ignore[arg-type]
        size = _ENTRY + len(packed) + len(key[0]) + len(key[1])
        self._forget_before(now)
        if size > self._largest or key in self._replies:
            return
        self._replies[key] = packed
        self._oldest.append((now + self._seconds, key, size))
        self.bytes += size
        while len(self._oldest) > self._events or self.bytes > self._max_bytes:
            self._forget_oldest()

    def _forget_before(self, now: float) -> None:
        while self._oldest and self._oldest[0][0] <= now:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        _, key, size = self._oldest.popleft()
        del self._replies[key]
        self.bytes -= size
