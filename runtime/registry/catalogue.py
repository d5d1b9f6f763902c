"""The models of a registry, by their manifests."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

from runtime.artifacts.uris import ARCHIVE_SUFFIXES, MODEL_SUFFIXES
from runtime.errors import ScalezeroError
from runtime.published import places
from runtime.published.manifest import Manifest
from runtime.published.manifest_json import InvalidManifest
from runtime.published.objects import Objects, full_uri
from runtime.published.places import SUFFIX
from runtime.published.reading import Added, leftovers, read_assessments, read_manifest, require_manifest
from runtime.versions import order

_READERS: Final = 8  # requests at a time
_ARTIFACTS: Final = (*MODEL_SUFFIXES, *ARCHIVE_SUFFIXES)
_SHOWN: Final = 10  # names in an error


class ModelNotPublished(ScalezeroError):
    """The registry has no model of this name and version."""

    code = "model_not_published"

    def __init__(self, name: str, *, registry: str, known: Sequence[str]) -> None:
        more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
        has = f"it has {', '.join(known[:_SHOWN])}{more}" if known else "it has no model with a manifest"
        super().__init__(f"no model {name} in {registry}: {has}", name=name, registry=registry, known=list(known))


class AmbiguousModel(ScalezeroError):
    """Several URIs of the registry have this version of the model."""

    code = "model_ambiguous"

    def __init__(self, title: str, *, uris: Sequence[str]) -> None:
        super().__init__(f"{title} is published under several URIs; pass one of {', '.join(uris)}", uris=list(uris))


class Entry(NamedTuple):
    """One model of a listing."""

    uri: str
    manifest: Manifest | None  # None: there is none, or it cannot be read
    problem: str = ""  # why it cannot be read
    added: tuple[Added, ...] = ()  # the assessments beside the manifest
    leftovers: tuple[str, ...] = ()  # objects below its folder of variants that nothing names


def entries(prefix: str, *, every: bool = False, deep: bool = True) -> list[Entry]:
    """Return the models whose URIs begin with the prefix, sorted by name and version.

    With `every`, models without a manifest follow. They may be incomplete, or were published before manifests existed.
    `prefix` is a folder or the start of names: s3://bucket/..., file:///... or a path. Without `deep`, subfolders are
    left out.
    Raises `BadSetting` and `ModelUnavailable` errors.
    """
    source = Objects(prefix)
    uris, made = _split(source.list(prefix, deep=deep))
    described = [uri.removesuffix(SUFFIX) for uri in uris if uri.endswith(SUFFIX)]
    with ThreadPoolExecutor(_READERS) as pool:
        read = pool.map(lambda uri: _entry(uri, source, made.get(full_uri(uri), ())), described)
        found = [each for each in read if each is not None]
    known = {file.uri for each in found if each.manifest for file in each.manifest.objects}
    known.update(described)
    complete = sorted(found, key=_sort_key)
    if not every:
        return complete
    others = [uri for uri in uris if uri.lower().endswith(_ARTIFACTS) and uri not in known]
    others.extend(uri for uri in made if uri not in known and uri not in others)  # their artifact is missing
    return complete + [Entry(uri, None, leftovers=tuple(made.get(uri, ()))) for uri in others]


def find_model(reference: str, *, registry: str) -> Manifest:
    """Return the manifest of `NAME`, its newest version, of `NAME:VERSION`, or of the artifact at a URI or path.

    Raises `ModelNotPublished`, `AmbiguousModel`, `ArtifactMissing` for a URI without a manifest, and as `entries`.
    """
    if "/" in reference:
        return require_manifest(reference)
    found = [each.manifest for each in entries(registry) if each.manifest is not None]
    matching = select(found, reference)
    if not matching:
        raise ModelNotPublished(reference, registry=registry, known=list(dict.fromkeys(each.title for each in found)))
    newest = [each for each in matching if each.title == matching[-1].title]
    if len(newest) > 1:
        raise AmbiguousModel(newest[0].title, uris=[each.uri for each in newest])
    return newest[0]


def select(manifests: Iterable[Manifest], reference: str) -> list[Manifest]:
    """Return the versions that `NAME` or `NAME:VERSION` names, in their order."""
    versions = sorted(manifests, key=lambda each: order(each.version))
    exact = [each for each in versions if each.title == reference]
    return exact or [each for each in versions if each.name == reference]


def _split(uris: Iterable[str]) -> tuple[list[str], dict[str, list[str]]]:
    """Separate the objects that were made from an artifact, by the artifact's URI, from the others."""
    others: list[str] = []
    made: dict[str, list[str]] = {}
    for uri in uris:
        owner = places.owner(uri)
        if owner is None:
            others.append(uri)
        else:
            made.setdefault(owner, []).append(uri)
    return others, made


def _entry(uri: str, source: Objects, made: Sequence[str]) -> Entry | None:
    """Read one model; `made` are the objects below its folders. None: it was deleted after the listing."""
    try:
        manifest = read_manifest(uri, source=source)
    except InvalidManifest as error:
        return Entry(full_uri(uri), None, str(error.details["reason"]))
    if manifest is None:
        return None
    added = read_assessments(manifest, source=source, listed=[each for each in made if places.is_assessment(each)])
    return Entry(manifest.uri, manifest, added=added, leftovers=leftovers(manifest, added, made))


def _sort_key(entry: Entry) -> tuple[bool, str, object, str]:
    if entry.manifest is None:
        return True, entry.uri, order(""), entry.uri
    return False, entry.manifest.name, order(entry.manifest.version), entry.uri
