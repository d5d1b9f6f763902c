"""Reading of what is published about a model: its manifest, and the assessments that were added."""

import logging
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple
from urllib.parse import unquote

from runtime.errors import ArtifactMissing, BadSetting, InvalidModel, ScalezeroError
from runtime.published import objects, places
from runtime.published.manifest import Manifest
from runtime.published.manifest_json import InvalidManifest, parse
from runtime.published.places import MAX_BYTES, SUFFIX, manifest_uri
from runtime.variants import added
from runtime.variants.added import AddedAssessment
from runtime.variants.values import Assessment, StoredFile, Variant

_log: Final = logging.getLogger("scalezero.registry")


class InvalidAssessment(ScalezeroError):
    """The bytes of an object beside a manifest are no assessment that this version of scalezero can read."""

    code = "invalid_assessment"

    def __init__(self, uri: str, reason: str) -> None:
        super().__init__(
            f"{uri}: this is not an assessment that can be read: {reason}. To replace it: "
            f"scalezero models delete '{uri}', then scalezero models measure",
            uri=uri,
            reason=reason,
        )


class Added(NamedTuple):
    """One object below the folder of the added assessments."""

    place: str  # its URI
    document: AddedAssessment | None  # None: it cannot be read
    problem: str = ""  # why


def read_manifest(uri: str, *, source: objects.Objects | None = None) -> Manifest | None:
    """Return the manifest of the artifact at the URI, or None.

    Raises `InvalidManifest`, also for a manifest that was copied from another artifact, and `ModelUnavailable` errors.
    """
    body = _read(uri, manifest_uri(uri), source, InvalidManifest)
    return None if body is None else manifest_in(body, uri)


def manifest_in(body: bytes, uri: str) -> Manifest:
    """Return the manifest of the artifact at the URI from its JSON. Raises `InvalidManifest`."""
    place = manifest_uri(uri)
    manifest = parse(body, uri=place)
    if manifest.uri != objects.full_uri(uri):
        reason = f"uri: got {manifest.uri}; expected {objects.full_uri(uri)}; a copy has no manifest of its own"
        raise InvalidManifest(place, reason)
    if (wrong := misplaced(manifest)) is not None:
        raise InvalidManifest(place, f"uri: got {wrong[0]}; expected {wrong[1]}")
    return manifest


def require_manifest(uri: str) -> Manifest:
    """Return the manifest of the artifact at a URI.

    Raises `ArtifactMissing` if there is none, and `BadSetting` for a URI with a version.
    """
    objects.refuse_version(uri)
    manifest = read_manifest(uri)
    if manifest is None:
        raise ArtifactMissing(uri, "there is no manifest beside it; publishing the same file again adds it")
    return manifest


def read_assessments(
    manifest: Manifest, *, source: objects.Objects | None = None, listed: Sequence[str] | None = None
) -> tuple[Added, ...]:
    """Return the assessments that were added to a model, by name; one that cannot be read has a problem.

    `listed` are their URIs, if they are known from a listing. Raises `ModelUnavailable` errors.
    """
    if not places.may_have_variants(manifest.uri):
        return ()  # the folder of that name is not reserved, so it may be that of other models
    source = source or objects.Objects(manifest.uri)
    if listed is None:
        listed = list(source.list(places.assessments_folder(manifest.uri)))
    found: list[Added] = []
    for place in sorted(listed):
        earlier = [each.document for each in found if each.document]
        try:
            document = _assessment(place, manifest, earlier, source)
        except InvalidAssessment as error:
            found.append(Added(place, None, str(error.details["reason"])))
        else:
            found.extend([Added(place, document)] if document else [])  # None: it was deleted after the listing
    return tuple(found)


def published_variants(uri: str) -> tuple[tuple[Variant, ...], tuple[Assessment, ...]]:
    """Return the variants of a published model and the assessments, those of its manifest first.

    A class that was measured several times has several assessments; the one with the latest `measured_at` counts.
    An added assessment that cannot be read is left out, which a warning of the log says, so that it does not disable
    the others. Without a manifest there are none. Raises `InvalidManifest` and `ModelUnavailable` errors.
    """
    manifest = read_manifest(uri)
    if manifest is None:
        return (), ()
    found = read_assessments(manifest)
    for each in found:
        if each.document is None:
            _log.warning("%s", InvalidAssessment(each.place, each.problem))
    return variants_of(manifest, found), assessments_of(manifest, found)


def assessments_of(manifest: Manifest, found: Sequence[Added]) -> tuple[Assessment, ...]:
    """Return the assessment of the manifest, if it has one, and the added ones that can be read."""
    own = () if manifest.assessment is None else (manifest.assessment,)
    return (*own, *(each.document.assessment for each in found if each.document))


def variants_of(manifest: Manifest, found: Sequence[Added]) -> tuple[Variant, ...]:
    """Return the variants of the manifest, and of the added assessments that can be read."""
    return added.merged(manifest.variants, [each.document for each in found if each.document])


def objects_of(manifest: Manifest, documents: Sequence[AddedAssessment]) -> tuple[StoredFile, ...]:
    """Return all objects of a model, each once; those of the original are last, and its model file is the very last."""
    known = {each.uri: each for each in manifest.objects}
    new = (each for document in documents for variant in document.variants for each in variant.objects)
    others = {each.uri: each for each in new if each.uri not in known}
    return (*others.values(), *manifest.objects)


def leftovers(manifest: Manifest, found: Sequence[Added], listed: Sequence[str]) -> tuple[str, ...]:
    """Return the listed variants that neither the manifest nor an assessment names.

    An interrupted publication leaves them, or one that lost against another. While an assessment cannot be read, it may
    name any of them, so there are none.
    """
    if any(each.document is None for each in found):
        return ()
    named = {each.uri for each in objects_of(manifest, [each.document for each in found if each.document])}
    return tuple(each for each in own_objects(listed) if not places.is_assessment(each) and each not in named)


def own_objects(listed: Sequence[str]) -> list[str]:
    """Leave out the listed objects beside or below a manifest: that of another model, which a user put there."""
    folders = tuple(each.rpartition("/")[0] + "/" for each in listed if each.endswith(SUFFIX))
    return [each for each in listed if not each.startswith(folders)]


def _assessment(
    place: str, manifest: Manifest, earlier: Sequence[AddedAssessment], source: objects.Objects
) -> AddedAssessment | None:
    """Read one added assessment, and check that it belongs to the model. Raises `InvalidAssessment`."""
    body = _read(place, place, source, InvalidAssessment)
    if body is None:
        return None
    try:
        document = added.parse(body)
        _check(document, manifest, place)
        added.merged(manifest.variants, (*earlier, document))
    except ValueError as error:
        raise InvalidAssessment(place, str(error)) from error
    return document


def _check(document: AddedAssessment, manifest: Manifest, place: str) -> None:
    if document.uri != manifest.uri:
        raise ValueError(f"uri: got {document.uri}; expected {manifest.uri}")
    if document.sha256 != manifest.sha256:
        raise ValueError(f"sha256: got {document.sha256}; expected {manifest.sha256}, as the manifest has")
    cpu_class = document.assessment.cpu_class
    if not places.is_assessment_of(place, cpu_class):
        raise ValueError(f"assessment.cpuClass: got {cpu_class}; expected the class in the name of the object")
    own = {each.uri for each in manifest.objects}
    for each in objects_of(manifest, [document]):
        if each.uri not in own and not _is_below(each.uri, folder := places.variants_folder(manifest.uri)):
            raise ValueError(f"variants: got the object {each.uri}; expected one below {folder}")


def misplaced(manifest: Manifest) -> tuple[str, str] | None:
    """Return an object that is not where those of the artifact are, and where it is expected, or None.

    A deletion must not follow the URI. The external data is in or below the artifact's folder, and what was made from
    the artifact is below its folder of variants.
    """
    folder, made = manifest.uri.rpartition("/")[0] + "/", places.variants_folder(manifest.uri)
    own = {manifest.uri, *(each.uri for each in manifest.files)}
    for each in manifest.objects:
        if not _is_below(each.uri, folder):
            return each.uri, "an object in or below the artifact's folder"
        if each.uri not in own and not _is_below(each.uri, made):
            return each.uri, f"an object in or below the artifact's folder of variants, {made}"
    return None


def _is_below(uri: str, base: str) -> bool:
    """Whether the URI is that of an object below the base, in the form of `full_uri`, and not of a manifest."""
    if not uri.startswith(base):
        return False
    rest = uri.removeprefix(base)
    segments = (unquote(rest) if uri.startswith("file:") else rest).split("/")
    try:
        return ".." not in segments and objects.full_uri(uri) == uri and not uri.endswith(SUFFIX)
    except BadSetting:
        return False


def _read(
    uri: str, place: str, source: objects.Objects | None, invalid: Callable[[str, str], ScalezeroError]
) -> bytes | None:
    try:
        return (source or objects.Objects(uri)).read(place, max_bytes=MAX_BYTES)
    except InvalidModel as error:
        raise invalid(place, str(error.details["reason"])) from error
