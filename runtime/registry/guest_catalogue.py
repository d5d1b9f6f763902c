"""The guests of a registry, with their compiled code, by their objects: a guest has no manifest.

What a publisher states is the metadata of an object, so in a folder only what the files show is known.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

from runtime.artifacts.uris import VERSION_QUERY
from runtime.configuration.guest_code import GuestCode, GuestCodes
from runtime.published.objects import Objects, full_uri
from runtime.published.reading import read_manifest
from runtime.registry.guest_places import CodePlace, code_folder, has_guest_name, place_of
from runtime.wasm.binary import HEADER_BYTES, kind_of

_READERS: Final = 8  # requests at a time
PUBLISHED_AT, PUBLISHED_BY, COMPILED_FROM = "published-at", "published-by", "guest-sha256"  # in the metadata
NO_DIGEST: Final = "no SHA-256 is recorded"


class StoredGuest(NamedTuple):
    """The object of a guest."""

    sha256: str | None  # lower-case hex, as its publisher recorded it; that of the file in a folder; None: unknown
    size: int  # bytes
    kind: str | None  # core or component; None: it is not WebAssembly
    version_id: str | None = None  # of the object; None: the bucket keeps no versions
    published_at: str | None = None  # RFC 3339, UTC; None: not recorded
    published_by: str | None = None  # user@host, or the URL of the CI run; None: not recorded


class StoredCode(NamedTuple):
    """The object of a compiled code."""

    uri: str
    place: CodePlace
    sha256: str | None  # as that of a guest
    size: int  # bytes
    published_at: str | None = None
    published_by: str | None = None
    problem: str = ""  # why no deploy pins it

    @property
    def code(self) -> GuestCode | None:
        """What a deploy pins; None: it cannot be pinned."""
        if self.sha256 is None or self.problem:
            return None
        return GuestCode(self.place.compiler, self.place.cpu, self.place.kind, self.uri, self.sha256)


class GuestEntry(NamedTuple):
    """A guest with its compiled code, or compiled code that was left without its guest."""

    uri: str
    guest: StoredGuest | None  # None: it does not exist
    codes: tuple[StoredCode, ...] = ()
    others: tuple[str, ...] = ()  # objects in the folder of the code that are none

    @property
    def exists(self) -> bool:
        """Whether the registry has the guest or code of it."""
        return self.guest is not None or bool(self.codes)

    @property
    def problem(self) -> str:
        """What is wrong with the guest; empty: nothing."""
        if self.guest is None:
            return "there is no guest, only compiled code of it"
        if self.guest.kind is None:
            return "it is not WebAssembly"
        return "" if self.guest.sha256 else NO_DIGEST

    @property
    def pinnable(self) -> GuestCodes:
        """The codes that a deploy pins."""
        return GuestCodes(each.code for each in self.codes if each.code)

    def has(self, place: str) -> bool:
        """Whether the registry has an object at the URI of a code."""
        return any(each.uri == place for each in self.codes)


def read_guest(uri: str) -> GuestEntry:
    """Return what is published under the URI of a guest; `exists` tells whether it is something.

    The code is listed first: a guest is published before its code, so code that is found without a guest has lost it.
    Raises `BadSetting` and `ModelUnavailable` errors.
    """
    source, uri = Objects(uri), full_uri(uri.partition(VERSION_QUERY)[0])
    listed = sorted(source.list(code_folder(uri)))
    codes = [each for each in listed if (place := place_of(each)) and place.guest == uri]
    guest = _guest(uri, source)
    return GuestEntry(uri, guest, _codes(codes, guest, source), tuple(each for each in listed if each not in codes))


def guest_entries(prefix: str) -> list[GuestEntry]:
    """Return the guests whose URIs begin with the prefix, by URI, and compiled code that was left without its guest.

    A guest is an object whose name ends with .wasm, or that has compiled code beside it. Raises as `read_guest`.
    """
    found: set[str] = set()
    for uri in Objects(prefix).list(prefix):
        if (place := place_of(uri)) is not None:
            found.add(place.guest)
        elif has_guest_name(uri):
            found.add(uri)
    with ThreadPoolExecutor(_READERS) as pool:
        return [each for each in pool.map(read_guest, sorted(found)) if each.exists]


def is_guest(uri: str) -> bool:
    """Whether commands handle the URI as that of a guest: by its name, or by compiled code beside it and no manifest.

    The URI of one version of an object is none. Raises `InvalidManifest`, and as `read_guest`.
    """
    if VERSION_QUERY in uri:
        return False
    uri = full_uri(uri)
    if has_guest_name(uri):
        return True
    return read_manifest(uri) is None and any(map(place_of, Objects(uri).list(code_folder(uri))))


def _guest(uri: str, source: Objects) -> StoredGuest | None:
    head = source.head(uri, first_bytes=HEADER_BYTES)
    if head is None:
        return None
    try:
        kind = kind_of(head.first).name.lower()
    except ValueError:
        kind = None
    info = head.info
    at, by = _stated(info.metadata)
    return StoredGuest(info.sha256, info.size, kind, info.version_id, published_at=at, published_by=by)


def _codes(uris: Sequence[str], guest: StoredGuest | None, source: Objects) -> tuple[StoredCode, ...]:
    return tuple(filter(None, (_code(uri, guest, source) for uri in uris)))


def _code(uri: str, guest: StoredGuest | None, source: Objects) -> StoredCode | None:
    """Read one code; None: it was deleted after the listing."""
    head, place = source.head(uri, first_bytes=1), place_of(uri)
    if head is None or place is None:
        return None
    info = head.info
    at, by = _stated(info.metadata)
    problem = _problem(info.sha256, info.metadata.get(COMPILED_FROM), guest)
    return StoredCode(uri, place, info.sha256, info.size, published_at=at, published_by=by, problem=problem)


def _stated(metadata: Mapping[str, str]) -> tuple[str | None, str | None]:
    """Return when and by whom an object was published."""
    return metadata.get(PUBLISHED_AT), metadata.get(PUBLISHED_BY)


def _problem(sha256: str | None, compiled_from: str | None, guest: StoredGuest | None) -> str:
    if guest is None:
        return "its guest is missing"
    if sha256 is None:
        return NO_DIGEST
    if None not in (compiled_from, guest.sha256) and compiled_from != guest.sha256:
        return f"it was compiled from another guest, with the SHA-256 {compiled_from}"
    return ""
