"""The S3 objects that events name: fetched from allowed buckets only, up to a size, with the faults of an event.

    check the bucket and the key -> Reader.read -> Content, or an error whose status says whether a delivery again helps

A bucket that is not allowed, an object that is too large, or one that does not exist rejects the event. A store that
cannot be reached, or that refuses the credentials, does not: a later delivery may succeed.
"""

import asyncio
from contextlib import suppress
from functools import lru_cache
from threading import Thread
from typing import TYPE_CHECKING, Final, NamedTuple

from runtime.artifacts.policy import PullPolicy
from runtime.artifacts.reading import Content, Reader
from runtime.artifacts.uris import S3Location
from runtime.errors import ArtifactMissing, BadEvent, BucketNotAllowed, ObjectMissing, PayloadTooLarge

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.protocols.cloudevents.s3_notifications import ObjectReference
    from runtime.settings import Settings

_AT_ONCE: Final = 8  # objects that `fetch` reads at the same time, each on a thread
_SHOWN: Final = 200  # characters of a key in a message


class Rules(NamedTuple):
    """What may be fetched, and within which limits; sizes in bytes, times in seconds."""

    buckets: tuple[str, ...]
    max_bytes: int
    stall_timeout: float
    deadline: float

    @classmethod
    def of(cls, settings: "Settings") -> "Rules":
        """Return the rules of the process."""
        return cls(settings.event_buckets, settings.event_object_bytes, settings.stall_timeout, settings.load_timeout)


class EventObjects:
    """Fetches the objects that events name."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._reader = Reader(
            max_bytes=rules.max_bytes,
            policy=PullPolicy(stall_timeout=rules.stall_timeout, deadline=rules.deadline),
        )
        self._slots = asyncio.Semaphore(_AT_ONCE)

    def read(self, reference: "ObjectReference") -> Content:
        """Return the object, in the version that the event names if it names one. Blocks; threads may share this.

        Raises `BucketNotAllowed`, `BadEvent` for a key that clients read differently, `PayloadTooLarge`,
        `ObjectMissing`, and the errors of a store that may go away: see `Reader.read`.
        """
        location = S3Location(reference.bucket, reference.key, reference.version)
        if location.bucket not in self._rules.buckets:
            raise BucketNotAllowed(location.bucket, self._rules.buckets)
        if not location.is_valid:
            expected = "a key without control characters, in which no part is empty, '.' or '..'"
            raise BadEvent("key of the object", got=repr(location.key[:_SHOWN]), expected=expected)
        limit = self._rules.max_bytes
        if reference.size is not None and reference.size > limit:
            raise PayloadTooLarge(location.uri, limit=limit, unit="bytes", got=reference.size)
        try:
            return self._reader.read(location)
        except ArtifactMissing as error:
            raise ObjectMissing(location.uri, str(error.details["reason"])) from error

    async def fetch(self, reference: "ObjectReference") -> Content:
        """Return the object, like `read`, from the event loop. At most 8 objects are read at the same time."""
        async with self._slots:
            return await _on_thread(lambda: self.read(reference))


@lru_cache(1)
def reader(rules: Rules) -> EventObjects:
    """Return the fetcher of this process for threads, so that its connections are used again."""
    return EventObjects(rules)


async def _on_thread(work: "Callable[[], Content]") -> Content:
    """Run the work on a daemon thread: the end of the process would wait for asyncio's executor."""
    loop = asyncio.get_running_loop()
    result: asyncio.Future[Content] = loop.create_future()

    def finish(content: Content | None, error: Exception | None) -> None:
        if result.done():  # the caller was cancelled
            return
        if error is not None:
            result.set_exception(error)
        elif content is not None:
            result.set_result(content)

    def run() -> None:
        content, error = None, None
        try:
            content = work()
        except Exception as raised:  # noqa: BLE001 - raised where the future is awaited
            error = raised
        with suppress(RuntimeError):  # the loop is closed: the process is ending
            loop.call_soon_threadsafe(finish, content, error)

    Thread(target=run, name="event-object", daemon=True).start()
    return await result
