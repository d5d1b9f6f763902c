"""Verification of a published model: each object is read, hashed and compared with the manifest.

A guest has no manifest, so it and its compiled code are compared with the digests that their publishers recorded.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from runtime.published.manifest import Manifest
from runtime.published.objects import Hashed, Objects
from runtime.published.reading import Added, objects_of
from runtime.registry.guest_catalogue import NO_DIGEST, GuestEntry
from runtime.variants.values import StoredFile


@dataclass(frozen=True, slots=True)
class Verification:
    """The result for one object."""

    model: str  # name:version; "-": unknown, or of a guest
    uri: str
    size: int  # bytes, according to the manifest; of a guest and its code, according to the store
    problem: str  # empty: it is as published
    kind: Literal["model", "guest", "code"] = "model"  # code: of a guest

    @property
    def is_good(self) -> bool:
        """Whether the object is as published."""
        return not self.problem


def verify(manifest: Manifest, added: Sequence[Added] = ()) -> Iterator[Verification]:
    """Hash each object of the model, and report each added assessment that cannot be read.

    Memory use does not depend on the size of an object. Raises `ModelUnavailable` errors.
    """
    source = Objects(manifest.uri)
    for each in objects_of(manifest, [each.document for each in added if each.document]):
        yield Verification(manifest.title, each.uri, each.size, problem_of(each, source.hash(each.uri)))
    for broken in added:
        if broken.document is None:
            yield Verification(manifest.title, broken.place, 0, f"it cannot be read: {broken.problem}")


def verify_guest(entry: GuestEntry) -> Iterator[Verification]:
    """Hash a guest and each of its codes, and report code without its guest. Raises `ModelUnavailable` errors."""
    source = Objects(entry.uri)
    if (guest := entry.guest) is not None:
        found = _recorded_problem(source, entry.uri, guest.sha256, guest.size)
        problem = found if guest.kind else entry.problem
        yield Verification("-", entry.uri, guest.size, problem, kind="guest")
    for each in entry.codes:
        problem = each.problem or _recorded_problem(source, each.uri, each.sha256, each.size)
        if guest is None:
            problem = f"{problem}; to delete it: scalezero models delete '{entry.uri}'"
        elif problem:
            problem = f"{problem}; to replace it: scalezero models delete '{each.uri}', then scalezero wasm compile"
        yield Verification("-", each.uri, each.size, problem, kind="code")


def _recorded_problem(source: Objects, uri: str, recorded: str | None, size: int) -> str:
    if recorded is None:
        return NO_DIGEST
    return problem_of(StoredFile(uri=uri, sha256=recorded, size=size), source.hash(uri))


def problem_of(file: StoredFile, found: Hashed | None) -> str:
    """Compare an object with the manifest. Returns an empty text if it is as published. Pure."""
    if found is None:
        return "there is no such object"
    if found.size != file.size:
        return f"it has {found.size} bytes; expected {file.size}"
    if found.sha256 != file.sha256:
        return f"its SHA-256 is {found.sha256}; expected {file.sha256}"
    if found.recorded not in {None, file.sha256}:
        return f"its metadata states the SHA-256 {found.recorded}, so that no pod accepts it; expected {file.sha256}"
    return ""
