"""What the cache asks of a place that holds artifacts. Each store translates its own faults into `runtime.errors`."""

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import NamedTuple, Protocol


class ObjectInfo(NamedTuple):
    """One immutable version of an object, as the store described it."""

    uri: str
    size: int  # bytes
    etag: str | None = None  # pins every ranged read (If-Match)
    version_id: str | None = None  # pins them where the bucket is versioned
    sha256: str | None = None  # what the publisher recorded, in lower-case hex
    metadata: Mapping[str, str] = MappingProxyType({})  # the publisher's own words, keys in lower case


class Opened(NamedTuple):
    """An object together with its first bytes, which came in the same answer."""

    info: ObjectInfo
    end: int  # `pieces` hold the bytes [0, end)
    pieces: Iterator[bytes]


class Store(Protocol):
    """A place that holds artifacts under URIs."""

    @property
    def scope(self) -> str:
        """Name the place itself, so that one URI in two places is not one artifact."""

    def open(self, uri: str, *, first: int, unless: str | None = None) -> Opened | None:
        """Describe the object and begin to read its first `first` bytes, in one round trip.

        Returns None where the object's ETag is still `unless`. Raises `ModelUnavailable` errors.
        """

    def read(self, info: ObjectInfo, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes [start, end) of exactly this version, in pieces.

        Raises `ArtifactChanged` where the object is another one by now, `StoreUnreachable` on a broken connection
        and `StoreStalled` where no byte came for the store's stall timeout.
        """
