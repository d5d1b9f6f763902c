"""What the cache asks of a place that holds artifacts. Each store translates its own faults into `runtime.errors`."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectInfo:
    """One immutable version of an object, as the store described it."""

    uri: str
    size: int  # bytes
    etag: str | None = None  # pins every ranged read (If-Match)
    version_id: str | None = None  # pins them where the bucket is versioned
    sha256: str | None = None  # what the publisher recorded, in lower-case hex
    metadata: Mapping[str, str] = field(default_factory=dict)  # the publisher's own words, keys in lower case


class Store(Protocol):
    """A place that holds artifacts under URIs."""

    def stat(self, uri: str) -> ObjectInfo:
        """Describe the object that the URI names now. Raises `ModelUnavailable` errors."""

    def read(self, info: ObjectInfo, start: int, end: int) -> Iterator[bytes]:
        """Yield the bytes [start, end) of exactly this version, in pieces.

        Raises `ArtifactChanged` where the object is another one by now, `StoreUnreachable` on a broken connection
        and `StoreStalled` where no byte came for the store's stall timeout.
        """
