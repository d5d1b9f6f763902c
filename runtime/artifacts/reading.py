"""The content of small objects in memory, each read in one request. Models are pulled to files instead, by `fetch`.

A client and its keys are used for many objects of a bucket, for at most five minutes: keys from a token service are
valid for 15 minutes or more.
"""

from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Final, NamedTuple

from runtime.artifacts.fetch import connect, current_access
from runtime.artifacts.policy import PullPolicy
from runtime.artifacts.uris import S3Location
from runtime.errors import AccessDenied, CredentialsMissing

if TYPE_CHECKING:
    from runtime.artifacts.s3 import S3Source

_KEPT: Final = 300.0  # seconds that a client is used


class Content(NamedTuple):
    """The bytes and the content type of an object; None: the store has stated no type."""

    data: bytes
    content_type: str | None


class _Opened(NamedTuple):
    source: "S3Source"
    until: float  # on the clock of `monotonic`


class Reader:
    """Reads objects of S3. Threads may share it."""

    def __init__(self, *, max_bytes: int, policy: PullPolicy) -> None:
        """Limit the size of an object, and the time of its reading by the stall timeout and deadline of `policy`."""
        self._max_bytes = max_bytes
        self._policy = policy
        self._opened: dict[str, _Opened] = {}  # by bucket
        self._lock = Lock()

    def read(self, location: S3Location) -> Content:
        """Return the object at a valid location. Blocks.

        Raises `PayloadTooLarge`, `BadSetting` for the environment of AWS, and the errors of a store: ArtifactMissing,
        AccessDenied, CredentialsMissing, StoreUnreachable and StoreStalled.
        """
        try:
            return Content(*self._source(location).whole(location, max_bytes=self._max_bytes))
        except (AccessDenied, CredentialsMissing):  # the keys may have been replaced
            with self._lock:
                self._opened.pop(location.bucket, None)
            raise

    def _source(self, location: S3Location) -> "S3Source":
        with self._lock:
            opened = self._opened.get(location.bucket)
            if opened is None or opened.until < monotonic():
                opened = _Opened(connect(location, current_access(), self._policy), monotonic() + _KEPT)
                self._opened[location.bucket] = opened
            return opened.source
