"""The interface of a store of artifacts. Each store translates its own errors into `runtime.errors`."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple, Protocol


class ObjectInfo(NamedTuple):
    """One immutable version of an object, as the store describes it."""

    uri: str
    size: int  # bytes
    etag: str | None = None  # every ranged read requires it (If-Match)
    version_id: str | None = None  # every ranged read names it if the bucket is versioned
    sha256: str | None = None  # recorded by the publisher, in lower-case hex
    metadata: Mapping[str, str] = MappingProxyType({})  # set by the publisher; keys in lower case


class OpenedObject(NamedTuple):
    """An object with its first bytes, from the same response."""

    info: ObjectInfo
    end: int  # `pieces` contain the bytes [0, end)
    pieces: Iterator[bytes]


class Store(Protocol):
    """A store of artifacts, each with a URI."""

    @property
    def scope(self) -> str:
        """The identity of the store, so that the same URI in two stores is two artifacts."""

    def open(self, uri: str, *, first_bytes: int, if_none_match: str | None = None) -> OpenedObject | None:
        """Describe the object and start to read its first `first_bytes` bytes, in one round trip.

        Returns None if the object's ETag is still `if_none_match`. Raises `ModelUnavailable` errors.
        """

    def read(self, info: ObjectInfo, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes [start, end) of this version, in pieces.

        Raises `ArtifactChanged` if the object was replaced, `StoreUnreachable` if the connection breaks, and
        `StoreStalled` if no byte arrives within the store's stall timeout.
        """
