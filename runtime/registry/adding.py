"""Measurement of a published model on this machine's CPU class: an assessment beside its manifest, only ever added.

manifest, earlier assessments ──► original and variants pulled ──► make_variants ──► uploads ──► the assessment
"""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from runtime.artifacts.uris import parse_uri
from runtime.errors import ArtifactChanged, ScalezeroError
from runtime.published import objects, places
from runtime.published.manifest import Manifest
from runtime.published.places import MAX_BYTES
from runtime.published.reading import (
    Added,
    InvalidAssessment,
    assessments_of,
    read_assessments,
    require_manifest,
    variants_of,
)
from runtime.registry.describing import describe, publisher
from runtime.registry.files import Watch, put_once, send
from runtime.registry.forms import working_folder
from runtime.registry.making import BuiltVariants, LocalModel, Steps, Tell, check_may_have_variants, make_variants, room
from runtime.registry.optimization import Optimization
from runtime.registry.verifying import problem_of
from runtime.variants.added import AddedAssessment, merged, render
from runtime.variants.cpu_class import cpu_class
from runtime.variants.values import Assessment, Variant, own_files

if TYPE_CHECKING:
    from runtime.optimizing.candidates import Method

_AGAIN: Final = "--again adds another measurement, which counts from then on"


class AlreadyMeasured(ScalezeroError):
    """The model was measured on this CPU class, or another process measures it at the same time."""

    code = "already_measured"

    def __init__(self, uri: str, *, cpu_class: str, measured_at: str) -> None:
        super().__init__(
            f"{uri}: it was measured on {cpu_class} at {measured_at}, and an assessment never changes; {_AGAIN}",
            uri=uri,
            cpu_class=cpu_class,
            measured_at=measured_at,
        )


class VariantsChanged(ScalezeroError):
    """Another process added a variant of the same name with other bytes, while this one measured."""

    code = "variants_changed"

    def __init__(self, uri: str, reason: str) -> None:
        super().__init__(
            f"{uri}: another process added variants while this one measured: {reason}. Nothing was added here; measure "
            "again: the variants that were added are then measured",
            uri=uri,
            reason=reason,
        )


class AddedResult(NamedTuple):
    """What a measurement added."""

    place: str  # the URI of the assessment
    assessment: Assessment


def add_assessment(
    uri: str,
    optimization: Optimization,
    *,
    again: bool = False,
    watch: Watch | None = None,
    steps: Steps | None = None,
    tell: Tell = print,
) -> AddedResult:
    """Measure a published model here, and add the assessment, with the variants and prepared forms that are new.

    Published variants are measured, and the others are made if there is calibration data for them. Without `again`, a
    model that was measured on this CPU class is an error.

    Raises `AlreadyMeasured`, `VariantsChanged`, `ArtifactMissing` without a manifest, `InvalidManifest`,
    `InvalidAssessment`, `BadSetting` for a file of which no variants are made, `ArtifactChanged` if an object differs
    from the manifest, the errors of `make_variants`, `DiskFull`, and `ModelUnavailable` errors.
    """
    manifest = require_manifest(uri)
    check_may_have_variants(manifest)
    added = read_assessments(manifest)
    _check(manifest, added, again=again)
    variants = variants_of(manifest, added)
    size = sum(each.size for variant in variants for each in own_files(variant))
    with working_folder(manifest.uri, size=room(size, optimized=True)) as folder:
        model = _local(manifest, variants, folder)
        built = make_variants(model, optimization, folder, steps=steps, tell=tell)
        return add_variants(manifest, added, built, watch=watch)


def _check(manifest: Manifest, added: tuple[Added, ...], *, again: bool) -> None:
    """Raise `InvalidAssessment`, and `AlreadyMeasured`."""
    for each in added:
        if each.document is None:
            raise InvalidAssessment(each.place, each.problem)
    here = [each for each in assessments_of(manifest, added) if each.cpu_class == cpu_class()]
    if here and not again:
        raise AlreadyMeasured(manifest.uri, cpu_class=cpu_class(), measured_at=here[-1].measured_at)


def _local(manifest: Manifest, variants: tuple[Variant, ...], folder: Path) -> LocalModel:
    """Return the model and its variants as files; those in S3 are pulled."""
    path = _pull(variants[0], folder / "original")
    description = describe(path, name=manifest.name)
    files: dict[Method, tuple[Variant, Path]] = {}
    for each in variants[1:]:
        method = _method(each)
        if method is not None and method not in files:
            files[method] = (each, _pull(each, folder / "published" / method))
    return LocalModel(manifest.uri, manifest.name, path, description.signature, variants, files)


def _method(variant: Variant) -> "Method | None":
    """Return the method that made the variant's file; None: its file is the original's, or of an unknown method."""
    from runtime.optimizing.candidates import METHODS

    return next((each for each in METHODS if variant.name in {each, f"{each}-openvino"}), None)


def _pull(variant: Variant, folder: Path) -> Path:
    """Return the variant's model file; its objects in S3 are pulled to the folder. Raises `ArtifactChanged`."""
    base = variant.uri.rpartition("/")[0] + "/"
    source = objects.Objects(variant.uri)
    for each in own_files(variant):
        if isinstance(parse_uri(each.uri), Path):
            found = source.hash(each.uri)
        else:
            source.download(each.uri, target := folder / each.uri.removeprefix(base))
            found = objects.Objects(str(target)).hash(str(target))
        if problem := problem_of(each, found):
            raise ArtifactChanged(each.uri, f"{problem}; scalezero models verify checks all objects")
    location = parse_uri(variant.uri)
    return location if isinstance(location, Path) else folder / variant.uri.removeprefix(base)


def add_variants(
    manifest: Manifest, added: tuple[Added, ...], built: BuiltVariants, *, watch: Watch | None = None
) -> AddedResult:
    """Send what was made, then the assessment.

    Raises `AlreadyMeasured` if another process of this CPU class was faster, and `VariantsChanged` if one of another
    class was, and made a variant of the same name.
    """
    assert built.assessment is not None  # noqa: S101 - an optimization was asked for
    place = places.assessment_uri(manifest.uri, built.assessment.cpu_class, {each.place for each in added})
    document = AddedAssessment(
        uri=manifest.uri,
        sha256=manifest.sha256,
        measured_by=publisher(os.environ),
        variants=tuple(each for each in built.variants if each not in manifest.variants),
        assessment=built.assessment,
    )
    body = render(document)  # before anything is sent
    send(built.uploads, watch=watch)
    _check_names(manifest, document)
    # An object that is there is of another process, or our own: its response was lost, and the request was repeated.
    if not put_once(place, body) and objects.Objects(place).read(place, max_bytes=MAX_BYTES) != body:
        assessment = built.assessment
        raise AlreadyMeasured(manifest.uri, cpu_class=assessment.cpu_class, measured_at=assessment.measured_at)
    return AddedResult(place, built.assessment)


def _check_names(manifest: Manifest, document: AddedAssessment) -> None:
    """Raise `VariantsChanged` if an assessment that was added meanwhile has a variant of the same name."""
    existing = [each.document for each in read_assessments(manifest) if each.document]
    try:
        merged(manifest.variants, [*existing, document])
    except ValueError as error:
        raise VariantsChanged(manifest.uri, str(error)) from error
