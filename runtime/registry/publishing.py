"""Publishing of a model: its files, then its manifest.

plan_model (opens, hashes, asks the registry) -> PlannedModel
publish_planned: variants and prepared forms are made -> they are sent, then external data, artifact, manifest

The manifest is written last, and never replaced, so a model with a manifest is complete. If the URI already has another
model, or the same model under another name, publishing raises an error and changes nothing.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from runtime.artifacts.uris import S3Location, model_name, parse_uri
from runtime.configuration.values import SEGMENT, VERSION_LABEL, is_segment, is_version_label
from runtime.errors import BadSetting, DiskFull, ScalezeroError
from runtime.published import objects, places
from runtime.published.manifest import Manifest
from runtime.published.manifest_json import render
from runtime.published.places import SUFFIX, manifest_uri
from runtime.published.reading import misplaced, read_manifest
from runtime.registry.describing import Publication, describe, manifest_of, provenance_of
from runtime.registry.files import (
    AlreadyPublished,
    PlannedFile,
    Published,
    Watch,
    check_destination,
    deleted_meanwhile,
    find,
    plan_files,
    put_once,
    send,
)
from runtime.registry.forms import working_folder
from runtime.registry.making import (
    BuiltVariants,
    LocalModel,
    Steps,
    Tell,
    check_may_have_variants,
    make_variants,
    may_have_variants,
    room,
)
from runtime.registry.optimization import Optimization
from runtime.variants.values import Assessment, StoredFile

if TYPE_CHECKING:
    from runtime.model.signature import Signature

_LONGEST_KEY: Final = 1024  # bytes of an S3 key


class OtherManifest(ScalezeroError):
    """The same model is published here under another name or version."""

    code = "other_manifest"

    def __init__(self, uri: str, *, existing: str, offered: str) -> None:
        super().__init__(
            f"{uri}: this model is already published as {existing}, and not as {offered}. A manifest never changes: "
            "publish under another URI",
            uri=uri,
            existing=existing,
            offered=offered,
        )


class PlannedModel(NamedTuple):
    """A model to publish, and what the registry has now."""

    files: tuple[PlannedFile, ...]  # the model last
    manifest: Manifest  # with the original as the only variant
    publication: Publication
    existing: Manifest | None
    signature: "Signature"

    @property
    def uri(self) -> str:
        """The URI of the artifact, as the publisher states it."""
        return self.files[-1].upload.uri

    @property
    def may_have_variants(self) -> bool:
        """Whether variants and prepared forms are made of the file."""
        return may_have_variants(self.manifest)

    def check(self) -> None:
        """Raise `AlreadyPublished` or `OtherManifest` if the registry has another model at the URI."""
        for each in self.files:
            each.check()
        if self.existing is not None:
            check_manifest(self.existing, self.manifest, self.publication)
        check_version(self.files[-1].existing, self.existing or self.manifest)


def plan_model(path: Path, uri: str, publication: Publication, *, now: datetime | None = None) -> PlannedModel:
    """Open and hash the model, and look up what is published. Changes nothing.

    Raises `BadSetting` for an invalid URI, name or version, `InvalidModel` for a file that cannot be served,
    `InvalidManifest` for an existing one that cannot be read, and `ModelUnavailable` errors.
    """
    metadata = _metadata(publication)
    _check_names(publication)
    check_destination(uri, metadata)
    _check_key(uri)
    default_name = model_name(parse_uri(uri))
    description = describe(path, name=publication.name or default_name)
    files = plan_files(path, uri, metadata=metadata)
    manifest = manifest_of(
        description,
        [
            StoredFile(uri=objects.full_uri(each.upload.uri), sha256=each.upload.sha256, size=each.size)
            for each in files
        ],
        name=publication.name or description.name or default_name,
        version=publication.version or (files[-1].existing and files[-1].existing.version) or description.version,
        metrics=publication.metrics,
        provenance=provenance_of(publication.source or path.name, now=now or datetime.now(UTC)),
    )
    if (wrong := misplaced(manifest)) is not None:  # for example because of a link to another folder
        raise BadSetting("destination", value=wrong[0], allowed=wrong[1])
    return PlannedModel(files, manifest, publication, read_manifest(uri), description.signature)


def publish_planned(
    planned: PlannedModel,
    *,
    optimization: Optimization | None = None,
    watch: Watch | None = None,
    steps: Steps | None = None,
    tell: Tell = print,
) -> Published:
    """Publish the model, what is made of it, and its manifest. Nothing is sent before all of it is made.

    A model that has a manifest gets no variants: `models measure` adds them. `tell` gets a line about what is not done.
    Raises `AlreadyPublished` and `OtherManifest`, also if another publisher is faster, `BadSetting` for a file of which
    no variants are made, the errors of `make_variants`, `DiskFull`, and `ModelUnavailable` errors.
    """
    planned.check()
    if planned.existing is not None:
        if optimization is not None:
            tell(_existing_note(planned.existing))
        return _published(planned, uploaded=send(planned.files, watch=watch))
    if not planned.may_have_variants:
        if optimization is not None:
            check_may_have_variants(planned.manifest)
        return send_variants(planned, BuiltVariants(planned.manifest.variants), watch=watch, tell=tell)
    size = planned.manifest.size + sum(each.size for each in planned.manifest.files)
    try:
        with working_folder(planned.uri, size=room(size, optimized=optimization is not None)) as folder:
            built = make_variants(_local(planned), optimization, folder, tell=tell, steps=steps)
            return send_variants(planned, built, watch=watch, tell=tell)
    except DiskFull as error:
        if optimization is not None:
            raise
        tell(f"no prepared form was made: {error}")  # pods open the artifact itself
    return send_variants(planned, BuiltVariants(planned.manifest.variants), watch=watch, tell=tell)


def publish_model(
    path: Path,
    uri: str,
    publication: Publication,
    *,
    optimization: Optimization | None = None,
    watch: Watch | None = None,
    steps: Steps | None = None,
    tell: Tell = print,
) -> Published:
    """Publish the model under the URI: `s3://bucket/key`, `file://` or a path. Raises as the two steps do."""
    planned = plan_model(path, uri, publication)
    return publish_planned(planned, optimization=optimization, watch=watch, steps=steps, tell=tell)


def _local(planned: PlannedModel) -> LocalModel:
    manifest = planned.manifest
    path = planned.files[-1].upload.path
    return LocalModel(manifest.uri, manifest.name, path, planned.signature, manifest.variants)


def send_variants(
    planned: PlannedModel, built: BuiltVariants, *, watch: Watch | None = None, tell: Tell = print
) -> Published:
    """Send what was made, then the files of the original, then the manifest. Raises as `publish_planned`.

    `tell` gets a line about objects that are sent and not used, because another publisher was faster.
    """
    try:
        return _send_variants(planned, built, watch=watch, tell=tell)
    except (AlreadyPublished, OtherManifest):
        if built.uploads:
            tell(f"the variants that were sent are not used; {_to_delete(planned.manifest.uri)}")
        raise


def _send_variants(planned: PlannedModel, built: BuiltVariants, *, watch: Watch | None, tell: Tell) -> Published:
    manifest = replace(planned.manifest, variants=built.variants, assessment=built.assessment)
    body = render(manifest)  # before anything is sent, so that a value that is not JSON leaves nothing behind
    send((*built.uploads, *planned.files), watch=watch)
    uploaded = any(each.is_new for each in planned.files)
    if uploaded and planned.uri.lower().startswith("s3:"):  # a publisher that was faster may have the same bytes
        check_version(find(planned.uri), manifest)
    winner = _write_manifest(planned.uri, manifest, body, planned.publication)
    if winner == manifest:
        return _published(planned, uploaded=uploaded, assessment=built.assessment)
    left = {each.upload.uri for each in built.uploads} - {each.uri for each in winner.objects}
    if left or built.assessment:
        tell(_lost_note(winner, len(left)))
    return _published(planned, uploaded=uploaded)


def _published(planned: PlannedModel, *, uploaded: bool, assessment: Assessment | None = None) -> Published:
    sha256 = planned.manifest.sha256
    return Published(uri=planned.uri, sha256=sha256, uploaded=uploaded, assessment=assessment)


def _existing_note(manifest: Manifest) -> str:
    return (
        f"{manifest.uri} has a manifest, which never changes, so no variants were made; "
        f"scalezero models measure '{manifest.uri}' adds variants and measurements"
    )


def _lost_note(manifest: Manifest, left: int) -> str:
    return (
        f"{manifest.uri}: {manifest.provenance.published_by} published the same model at the same time and was first, "
        f"so the variants of its manifest count. This publication leaves {left} unused objects; "
        f"{_to_delete(manifest.uri)}"
    )


def _to_delete(uri: str) -> str:
    return f"to delete them: scalezero models delete '{uri}' --leftovers"


def _write_manifest(uri: str, manifest: Manifest, body: bytes, publication: Publication) -> Manifest:
    """Write the manifest, and return the one that is there afterwards."""
    if put_once(manifest_uri(uri), body):
        return manifest
    # Another publisher of the same files wrote it, or our own request did: its response was lost, and it was retried.
    existing = read_manifest(uri)
    if existing is None:
        raise deleted_meanwhile(manifest_uri(uri))
    check_manifest(existing, manifest, publication)
    return existing


def check_manifest(existing: Manifest, offered: Manifest, publication: Publication) -> None:
    """Raise an error if the existing manifest has other digests, or not the name or version that is stated."""
    digests = {each.uri: each.sha256 for each in existing.objects}
    for each in offered.objects:
        if digests.get(each.uri, each.sha256) != each.sha256:
            raise AlreadyPublished(each.uri, existing=digests[each.uri], offered=each.sha256)
    stated = Publication(publication.name or existing.name, publication.version or existing.version)
    if (stated.name, stated.version) != (existing.name, existing.version):
        raise OtherManifest(existing.uri, existing=existing.title, offered=f"{stated.name}:{stated.version}")


def check_version(found: Published | None, manifest: Manifest) -> None:
    """Raise `OtherManifest` if the object's metadata states another version than the manifest: `serve` reads it."""
    if found is not None and found.version not in {None, manifest.version}:
        existing = f"{manifest.name}:{found.version}"
        raise OtherManifest(manifest.uri, existing=existing, offered=manifest.title)


def _check_key(uri: str) -> None:
    location = parse_uri(uri)
    if uri.endswith(SUFFIX):
        raise BadSetting("URI", value=uri, allowed=f"a name that does not end with {SUFFIX}, as those of manifests do")
    if (artifact := places.owner(f"{uri}/")) is not None:
        raise BadSetting("URI", value=uri, allowed=f"a name outside of the folders of what is made from {artifact}")
    longest = _LONGEST_KEY - (places.LONGEST_SUFFIX if places.may_have_variants(uri) else len(SUFFIX))
    if isinstance(location, S3Location) and len(location.key.encode()) > longest:
        allowed = f"a key of at most {longest} bytes, as those of what is published with the model are longer"
        raise BadSetting("URI", value=uri, allowed=allowed)


def _check_names(publication: Publication) -> None:
    if publication.name is not None and not is_segment(publication.name):
        raise BadSetting("--name", value=publication.name, allowed=SEGMENT)
    if publication.version is not None and not is_version_label(publication.version):
        raise BadSetting("--version", value=publication.version, allowed=VERSION_LABEL)


def _metadata(publication: Publication) -> Mapping[str, str]:
    """Return the metadata of the object. S3 sends it as HTTP headers, whose names should not contain underscores."""
    stated = {"model": publication.name, "version": publication.version}
    metrics = {f"metric-{name.replace('_', '-')}": f"{value:g}" for name, value in publication.metrics.items()}
    return {**{name: text for name, text in stated.items() if text is not None}, **metrics}
