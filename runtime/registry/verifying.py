"""Verification of a published model: each object is read, hashed and compared with the manifest."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from runtime.published.manifest import Manifest
from runtime.published.objects import Hashed, Objects
from runtime.published.reading import Added, objects_of
from runtime.variants.values import StoredFile


@dataclass(frozen=True, slots=True)
class Verification:
    """The result for one object."""

    model: str  # name:version
    uri: str
    size: int  # bytes, according to the manifest
    problem: str  # empty: it is as published

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
