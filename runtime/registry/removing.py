"""Deletion of a published model: its manifest, its assessments, its variants, its external data, its artifact.

Of a guest: its compiled code, then the guest, because code without its guest would be run for another one.

So an interrupted deletion leaves no model in a listing, and the next one finds the rest: the artifact names its
external data, and all objects below the folders of the variants and the assessments of an ONNX file belong to it,
leftovers of interrupted publications included.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, NamedTuple

from runtime.artifacts.external import model_locations
from runtime.artifacts.uris import is_archive, parse_uri
from runtime.errors import ArtifactMissing, BadSetting, InvalidModel
from runtime.published import objects, places
from runtime.published.manifest_json import InvalidManifest
from runtime.published.places import MAX_BYTES, SUFFIX, manifest_uri
from runtime.published.reading import (
    InvalidAssessment,
    leftovers,
    own_objects,
    read_assessments,
    read_manifest,
    require_manifest,
)
from runtime.registry.catalogue import entries
from runtime.registry.files import delete, find, sibling_uri
from runtime.registry.guest_catalogue import is_guest, read_guest
from runtime.registry.guest_places import has_guest_name, place_of

_SHARED: Final = "another model uses it"
_NO_CODE: Final = "as it is no compiled code"
_MODEL: Final = "as a model with a manifest of its own is in that folder"


class Removal(NamedTuple):
    """What a deletion deletes, in this order, and what it keeps."""

    uri: str  # the artifact, or the guest
    deleted: tuple[str, ...]
    why_kept: Mapping[str, str] = {}  # the reason by object
    note: str = ""  # what is unknown, or the next step
    of_guest: bool = False

    @property
    def kept(self) -> tuple[str, ...]:
        """The objects that are kept."""
        return tuple(self.why_kept)


def plan_removal(uri: str) -> Removal:
    """List the objects of the model or the guest at a URI, or one added assessment or compiled code. Deletes nothing.

    External data is kept if the manifest of another model names it, or if an unreadable manifest may name it. If the
    model has no readable manifest, its external data is read from the artifact. Raises `BadSetting` for a URI with a
    version and for the URI of a manifest, of a variant or of external data, `ArtifactMissing` and `ModelUnavailable`
    errors.
    """
    objects.refuse_version(uri)
    if uri.endswith(SUFFIX):
        raise BadSetting("URI", value=uri, allowed=f"the artifact, {uri.removesuffix(SUFFIX)}, not its manifest")
    uri = objects.full_uri(uri)
    if (artifact := places.owner(uri)) is not None:
        return _assessment(uri, artifact)
    if place_of(uri) is not None:
        return _code(uri)
    made, foreign = _made(uri)
    try:
        manifest = read_manifest(uri)
    except InvalidManifest as error:
        broken = f"{error.details['uri']}: it cannot be read, so objects that only it names are unknown and kept"
        others, note = _external_data(uri)
        return _removal(uri, (manifest_uri(uri), *made), others, foreign, note=note or broken)
    if manifest is None:
        if is_guest(uri):
            return _guest(uri)
        if not made:
            _check_artifact(uri)
        others, note = _external_data(uri)
        return _removal(uri, made, others, foreign, note=note)
    others = [each.uri for each in manifest.files if each.uri != uri]
    return _removal(uri, (manifest_uri(uri), *made), others, foreign)


def plan_cleaning(uri: str) -> Removal:
    """List the variants of a model that nothing names: an interrupted publication left them. Deletes nothing.

    Do not clean while the model is published or measured: the new objects are named at the end.
    Raises `BadSetting` for a guest, `ArtifactMissing` without a manifest, `InvalidManifest`, `InvalidAssessment` and
    `ModelUnavailable` errors.
    """
    if has_guest_name(uri):
        raise BadSetting("--leftovers", value=uri, allowed="the URI of a model; publishing a guest leaves nothing")
    manifest = require_manifest(uri)
    if not places.may_have_variants(manifest.uri):
        return Removal(manifest.uri, ())
    found = read_assessments(manifest)
    for each in found:
        if each.document is None:
            raise InvalidAssessment(each.place, each.problem)
    listed = objects.Objects(manifest.uri).list(places.variants_folder(manifest.uri))
    return Removal(manifest.uri, leftovers(manifest, found, list(listed)))


def _assessment(place: str, artifact: str) -> Removal:
    if not places.is_assessment(place):
        raise BadSetting("URI", value=place, allowed=f"the artifact, {artifact}, or one of its assessments")
    if objects.Objects(place).read(place, max_bytes=MAX_BYTES) is None:
        raise ArtifactMissing(place, "there is no such assessment")
    return Removal(place, (place,), note=f"{artifact}: variants that only it names stay; --leftovers deletes them")


def _guest(uri: str) -> Removal:
    entry = read_guest(uri)
    if not entry.exists:
        raise ArtifactMissing(uri, "there is no such guest")
    guest = () if entry.guest is None else (uri,)
    codes = (each.uri for each in entry.codes)
    return Removal(entry.uri, (*codes, *guest), dict.fromkeys(entry.others, _NO_CODE), of_guest=True)


def _code(place: str) -> Removal:
    if objects.Objects(place).head(place, first_bytes=1) is None:
        raise ArtifactMissing(place, "there is no such compiled code")
    return Removal(
        place, (place,), note="pods of its CPU class compile the guest; scalezero wasm compile adds it again"
    )


def _made(uri: str) -> tuple[list[str], list[str]]:
    """Return the objects that were made from the artifact, its assessments first; and those of models among them.

    Only the folders of an ONNX file are reserved for it. Those of another name may be folders of other models.
    """
    if not places.may_have_variants(uri):
        return [], []
    source = objects.Objects(uri)
    listed = [*source.list(places.assessments_folder(uri)), *source.list(places.variants_folder(uri))]
    made = own_objects(listed)
    return made, [each for each in listed if each not in made]


def _removal(
    uri: str, first: Sequence[str], others: Sequence[str], foreign: Sequence[str], *, note: str = ""
) -> Removal:
    """Put the artifact last: it names its external data, which the next deletion finds if this one is interrupted."""
    used = _used_by_others(uri, others)
    kept = {each: used[each] for each in others if each in used} | dict.fromkeys(foreign, _MODEL)
    return Removal(uri, (*first, *(each for each in others if each not in kept), uri), kept, note)


def remove(removal: Removal, tell: Callable[[str], None]) -> None:
    """Delete the objects; `tell` gets a line for each. A bucket with versions keeps the versions.

    Raises `BadSetting` and `ModelUnavailable` errors.
    """
    for each in removal.deleted:
        delete(each)
        tell(f"{each}: deleted")
    for each, why in removal.why_kept.items():
        tell(f"{each}: kept, {why}")
    if removal.note:
        tell(removal.note)


def _check_artifact(uri: str) -> None:
    """Raise `ArtifactMissing` if the object does not exist, `BadSetting` if it is the external data of a model."""
    with suppress(InvalidModel):  # it exists, but is empty or cannot be read
        if find(uri) is None:
            raise ArtifactMissing(uri, "there is no such model")
    if _used_by_others(uri, [uri]).get(uri) == _SHARED:
        raise BadSetting("URI", value=uri, allowed="the artifact of a model; a model uses this as its external data")


def _external_data(uri: str) -> tuple[list[str], str]:
    """Read the URIs of the external data from the artifact. Return them, and a reason if they are unknown."""
    try:
        found = [objects.full_uri(sibling_uri(uri, name)) for name in sorted(_locations(uri))]
    except (ArtifactMissing, BadSetting, InvalidModel, OSError) as error:
        return [], f"{uri}: its external data is unknown and kept: {error}"
    return [each for each in found if each != uri and not each.endswith(SUFFIX)], ""


def _locations(uri: str) -> frozenset[str]:
    """Return the locations of the external data of a published artifact; one in S3 is pulled.

    Raises `InvalidModel` for a file that is not ONNX, other `ModelUnavailable` errors, and OSError.
    """
    location = parse_uri(uri)
    if is_archive(uri):
        return frozenset()
    if isinstance(location, Path):
        return model_locations(location, uri=uri)
    with TemporaryDirectory(prefix="scalezero-") as folder:
        model = Path(folder) / "model"
        objects.Objects(uri).download(uri, model)
        return model_locations(model, uri=uri)


def _used_by_others(uri: str, owned: Sequence[str]) -> dict[str, str]:
    """Return the objects that other models use, or may use, with the reason.

    The external data of a model is in or below its folder, so an unreadable manifest may name any object there.
    """
    used: dict[str, str] = {}
    for folder in dict.fromkeys(parent for each in owned for parent in _folders(each)):
        for other in entries(folder, deep=False):
            if other.uri == uri:
                continue
            if other.manifest is not None:
                used.update((each.uri, _SHARED) for each in other.manifest.objects)
                continue
            reason = f"as {manifest_uri(other.uri)} cannot be read and may name it"
            for each in owned:
                if each != uri and each.startswith(folder):
                    used.setdefault(each, reason)
    return used


def _folders(uri: str) -> Iterator[str]:
    """Yield the folders that contain the object, up to the bucket or the root of the file system."""
    scheme, _, path = uri.partition("://")
    while "/" in path:
        path = path.rpartition("/")[0]
        yield f"{scheme}://{path}/"
