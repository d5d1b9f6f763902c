"""The files that are made from a model: hashed, placed below its folder of variants, and planned as uploads."""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir
from typing import Final, NamedTuple

from runtime.artifacts.cache import DISK_FULL_ERRORS, hash_file
from runtime.artifacts.external import model_locations
from runtime.artifacts.upload import FileUpload
from runtime.errors import DiskFull
from runtime.published import places
from runtime.registry.files import PlannedFile, find, sibling_uri
from runtime.variants.values import StoredFile

_MARGIN: Final = 64 * 2**20  # bytes that stay free


class Form(NamedTuple):
    """A model file of this machine, and the objects that it becomes."""

    stored: tuple[StoredFile, ...]  # the external data, and the model last
    paths: tuple[Path, ...]  # in the same order

    @property
    def model(self) -> StoredFile:
        """The model file."""
        return self.stored[-1]

    @property
    def files(self) -> tuple[StoredFile, ...]:
        """The external data."""
        return self.stored[:-1]


def form_of(path: Path, uri: str, name: str, others: Iterable[Path] | None = None) -> Form:
    """Hash a model file and its external data, and place them below the folder of variants of the artifact at `uri`.

    `name` is that of the folder of the form. `others` are the other files of the form, if not only external data.
    """
    if others is None:
        others = [path.parent / location for location in model_locations(path, uri=str(path))]
    names = {each.relative_to(path.parent).as_posix(): each for each in sorted(others)}
    digests = {location: hash_file(each) for location, each in names.items()}
    model = hash_file(path)
    place = places.form_uri(uri, name, [("", model), *digests.items()])
    stored = [
        StoredFile(uri=sibling_uri(place, location), sha256=digest, size=names[location].stat().st_size)
        for location, digest in digests.items()
    ]
    stored.append(StoredFile(uri=place, sha256=model, size=path.stat().st_size))
    return Form(tuple(stored), (*names.values(), path))


def planned(forms: Sequence[Form]) -> tuple[PlannedFile, ...]:
    """List the uploads of the forms, each object once. Raises `ModelUnavailable` errors."""
    uploads = {
        stored.uri: PlannedFile(FileUpload(path, stored.uri, stored.sha256), stored.size, find(stored.uri))
        for form in forms
        for stored, path in zip(form.stored, form.paths, strict=True)
    }
    return tuple(uploads.values())


@contextmanager
def working_folder(uri: str, *, size: int) -> Iterator[Path]:
    """Yield a temporary folder, which is removed at the end, with room for `size` bytes.

    Raises `DiskFull` if the disk has less space, or if it fills meanwhile.
    """
    disk = gettempdir()
    free = shutil.disk_usage(disk).free
    if free < size + _MARGIN:
        needed = -(-(size + _MARGIN) // 2**20)
        reason = f"the variants are made in {disk}, which has {free // 2**20} MiB free; expected about {needed} MiB"
        raise DiskFull(uri, f"{reason}. Free some space, or set TMPDIR to a folder of another disk")
    try:
        with TemporaryDirectory(prefix="scalezero-") as folder:
            yield Path(folder)
    except OSError as error:
        if error.errno not in DISK_FULL_ERRORS:
            raise
        reason = f"a file of a variant cannot be written below {disk}: {error.strerror or error}"
        raise DiskFull(uri, f"{reason}. Free some space, or set TMPDIR to a folder of another disk") from error
