"""The variants and prepared forms of a model, made and measured in a temporary folder before anything is sent.

original ──► candidates, measured (runtime.optimizing) ──► rows proven ──► prepared forms ──► BuiltVariants
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from runtime.artifacts.uris import parse_uri
from runtime.errors import BadSetting
from runtime.published import objects, places
from runtime.published.manifest import Manifest
from runtime.registry import forms, rows
from runtime.registry.files import PlannedFile
from runtime.registry.forms import Form
from runtime.registry.optimization import DataSource, Optimization
from runtime.registry.prepared_forms import prepared_forms
from runtime.variants.values import Assessment, Variant

if TYPE_CHECKING:
    from runtime.model.signature import Signature
    from runtime.optimizing import CandidateFile, Data, Step
    from runtime.optimizing.candidates import Method

Progress = Callable[["Step"], None]
Steps = Callable[[], AbstractContextManager[Progress | None]]  # shows the progress while its context is open
Tell = Callable[[str], None]  # gets a line about something that could not be made
_PREPARED_ROOM: Final = 2  # times the size of the model, for its prepared form
_OPTIMIZED_ROOM: Final = 8  # for the candidates too, their prepared forms, and what a quantization writes


class LocalModel(NamedTuple):
    """A model and its published variants, as files of this machine."""

    uri: str  # of the artifact
    name: str
    path: Path
    signature: "Signature"
    variants: tuple[Variant, ...]  # what is published: the original first
    files: Mapping["Method", tuple[Variant, Path]] = {}  # the published variant that a method made, and its file


class BuiltVariants(NamedTuple):
    """The variants of a model, their measurements, and the files to upload."""

    variants: tuple[Variant, ...]  # the original first
    assessment: Assessment | None = None  # None: nothing was measured
    uploads: tuple[PlannedFile, ...] = ()


class _Ranked(NamedTuple):
    """A variant of the ranking, and its model file on this machine."""

    variant: Variant
    path: Path
    form: Form | None = None  # its files to upload; None: they are published, or planned with the original


def make_variants(
    model: LocalModel,
    optimization: Optimization | None,
    folder: Path,
    *,
    tell: Tell,
    steps: Steps | None = None,
) -> BuiltVariants:
    """Make the variants, if the publisher asks for them, and the prepared forms of all of them.

    `tell` gets a line for each prepared form that cannot be made. Raises the errors of `optimize`, `BadData`, and
    `ModelUnavailable` errors.
    """
    if optimization is None:
        ranked = [_Ranked(model.variants[0], model.path)]
        return _with_prepared_forms(model, ranked, None, folder, tell)
    from runtime.optimizing import optimize

    calibration = _data(optimization.calibration, model.signature, folder / "calibration")
    evaluation = _data(optimization.evaluation, model.signature, folder / "evaluation")
    with steps() if steps else nullcontext() as progress:
        optimized = optimize(
            model.path,
            out=folder / "candidates",
            calibration=calibration,
            evaluation=evaluation,
            bounds=optimization.bounds,
            batch_size=optimization.batch_size,
            name=model.name,
            progress=progress,
            published={method: path for method, (_, path) in model.files.items()},
        )
    ranked = _ranked(model, optimized.candidates, optimized.assessment.ranking)
    data, source = (evaluation, "evaluation") if evaluation else (calibration, "calibration")
    if data is not None:
        ranked = [_with_rows(each, model.name, data, source, optimized.assessment) for each in ranked]
    return _with_prepared_forms(model, ranked, optimized.assessment, folder, tell, data)


def may_have_variants(manifest: Manifest) -> bool:
    """Whether variants and prepared forms are made of such a file."""
    return manifest.format == "onnx" and places.may_have_variants(manifest.uri)


def check_may_have_variants(manifest: Manifest) -> None:
    """Raise `BadSetting` for a file of which no variants are made."""
    if not may_have_variants(manifest):
        allowed = "the URI of an ONNX file, NAME.onnx, as variants are made of such a file"
        raise BadSetting("URI", value=manifest.uri, allowed=allowed)


def room(size: int, *, optimized: bool) -> int:
    """Return about how many bytes the working folder needs for a model of this size."""
    return size * (_OPTIMIZED_ROOM if optimized else _PREPARED_ROOM)


def _with_prepared_forms(
    model: LocalModel,
    ranked: Sequence[_Ranked],
    assessment: Assessment | None,
    folder: Path,
    tell: Tell,
    data: "Data | None" = None,
) -> BuiltVariants:
    """Add the prepared forms, and list the uploads."""
    inputs = [] if data is None else rows.single_rows(model.signature, data.inputs)
    variants, made = [], [each.form for each in ranked if each.form]
    for each in ranked:
        new = prepared_forms(each.variant, each.path, folder, uri=model.uri, rows=inputs, tell=tell)
        made.extend(found.form for found in new)
        forms_of_variant = (*each.variant.prepared, *(found.prepared for found in new))
        variants.append(replace(each.variant, prepared=forms_of_variant))
    return BuiltVariants(tuple(variants), assessment, forms.planned(made))


def _data(source: DataSource | None, signature: "Signature", folder: Path) -> "Data | None":
    """Read data; that of S3 is pulled to the folder. Raises `BadData`, and `ModelUnavailable` errors."""
    from runtime.optimizing import data_from, read_data

    if source is None:
        return None
    if isinstance(source, Mapping):
        return data_from(source, signature)
    location = parse_uri(str(source))
    if isinstance(location, Path):
        return read_data(location, signature)
    pulled = folder / location.key.rpartition("/")[2]
    objects.Objects(str(source)).download(str(source), pulled)
    return read_data(pulled, signature)


def _ranked(model: LocalModel, candidates: "Sequence[CandidateFile]", ranking: Sequence[str]) -> list[_Ranked]:
    """Return the variants of the ranking, the original first."""
    original = model.variants[0]
    published = {each.name: each for each in model.variants}
    files = {model.path: original, **{path: variant for variant, path in model.files.values()}}
    made: dict[Path, Form] = {}
    found = [_Ranked(original, model.path)]
    for each in candidates:
        if each.name not in ranking:
            continue
        if each.name in published:
            found.append(_Ranked(published[each.name], each.path))
        elif each.path in files:  # a published file on another provider
            other = replace(
                files[each.path],
                name=each.name,
                provider=each.provider,
                precision=each.precision,
                prepared=(),
                rows=None,
            )
            found.append(_Ranked(other, each.path))
        else:
            form = made.get(each.path) or forms.form_of(each.path, model.uri, each.name)
            made[each.path] = form
            found.append(_Ranked(_variant(each, form), each.path, form))
    return found


def _variant(candidate: "CandidateFile", form: Form) -> Variant:
    return Variant(
        name=candidate.name,
        provider=candidate.provider,
        precision=candidate.precision,
        uri=form.model.uri,
        sha256=form.model.sha256,
        size=form.model.size,
        files=form.files,
    )


def _with_rows(ranked: _Ranked, name: str, data: "Data", source: str, assessment: Assessment) -> _Ranked:
    if ranked.variant.rows is not None:
        return ranked
    proof = rows.prove_rows(
        ranked.path,
        data.inputs,
        name=name,
        provider=ranked.variant.provider,
        batch_size=assessment.batch_size,
        source=source,
    )
    return ranked._replace(variant=replace(ranked.variant, rows=proof))
