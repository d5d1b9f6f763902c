"""Training and publishing of each ModelVersion in the model.yaml of a function's folder."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from knative.function.guests import CHANGED, changed_guest, guest_file, guest_uris, publish_guests, sha256_of
from knative.function.optimizing import Optimizing
from knative.function.pins import ReadVariants
from knative.function.training import TRAINER, TrainingFailed, refuse_ambiguous, trained
from knative.resources import ModelVersion, Resources, read_resources
from runtime.errors import ScalezeroError
from runtime.registry import (
    InvalidManifest,
    OtherManifest,
    Publication,
    Published,
    Watch,
    complete_model,
    find,
    manifest_state,
    manifest_uri,
    missing_code,
    published_variants,
)
from runtime.settings import GUEST

# Writes the manifest of the model at a URI if it has none; the function gets a line about what is not done.
Complete = Callable[[str, Publication, Callable[[str], None]], bool]


State: TypeAlias = Literal["upload", "exists", "refuse", "measure", "shared"]  # shared: with an earlier version


class PlannedStep(NamedTuple):
    """What a publication would do with one object."""

    name: str  # of the model, or main.wasm
    version: str  # empty: of a guest
    state: State
    uri: str
    note: str = ""  # for people

    def __str__(self) -> str:
        """Format it as a line."""
        note = f", {self.note}" if self.note else ""
        return f"{f'{self.name} {self.version}'.rstrip()}: {self.state:<7} {self.uri}{note}"


def publish_function(
    folder: Path,
    *,
    only_missing: bool = False,
    report: Callable[[str], None] = print,
    watch: Watch | None = None,
) -> tuple[Published, ...]:
    """Train and publish each ModelVersion of the folder; with `only_missing`, only those that are not published yet.

    Calls `report` with one line for each step. Raises `BadManifest`, `TrainingFailed`, `AlreadyPublished`, and the
    errors of `publish`.
    """
    resources = read_resources(folder)
    publish_guests(resources, folder, report=report)
    return publish_versions(resources, folder, only_missing=only_missing, report=report, watch=watch)


def plan_function(folder: Path, *, lookup: Callable[[str], Published | None] = find) -> Iterator[PlannedStep]:
    """Yield for each ModelVersion what happens to its model and to its manifest.

    Trains and uploads nothing. The size and the digest of a missing model are only known after its training. Raises as
    `publish_function`, at the end.
    """
    resources = read_resources(folder)
    optimizing = Optimizing(resources=resources, folder=folder, report=print)
    publishers = _publishers(resources.model_versions, folder)
    found = {uri: lookup(uri) for uri in publishers}
    missing = [each for uri, each in publishers.items() if found[uri] is None]
    can_train = (folder / TRAINER).is_file()
    for version in resources.model_versions:
        uri = version.spec.storage.uri(folder)
        if publishers[uri] is not version:
            yield _step(version, "shared", uri, f"the artifact of {publishers[uri].title}")
        elif (model := found[uri]) is not None:
            yield _step(version, "exists", uri, _facts(model))
            yield from _plan_manifest(version, uri, optimizing)
        elif can_train:
            made = "; its variants are made and measured" if optimizing.is_asked_for(version) else ""
            yield _step(version, "upload", uri, f"after its training{made}")
            yield _step(version, "upload", manifest_uri(uri))
        else:
            yield _step(version, "refuse", uri, f"as there is no {TRAINER}")
    if not can_train:
        _refuse_missing(folder, missing)
    yield from _plan_guests(resources, folder, lookup)


def _plan_guests(
    resources: Resources, folder: Path, lookup: Callable[[str], Published | None]
) -> Iterator[PlannedStep]:
    for uri in guest_uris(resources):
        yield PlannedStep(GUEST, "", *_plan_guest(uri, guest_file(folder), lookup(uri)))


def _plan_guest(uri: str, guest: Path | None, found: Published | None) -> tuple[State, str, str]:
    """Return what happens to a guest, its URI, and a note."""
    if found is None:
        return ("upload", uri, "with its compiled code") if guest else ("refuse", uri, f"as there is no {GUEST}")
    if changed := changed_guest(uri, published=found.sha256, here=sha256_of(guest)):
        return "refuse", uri, f"as {changed}; {CHANGED}"
    missing = missing_code(uri)
    added = f"; its code for {missing.cpu} ({missing.compiler}) is added" if missing else ""
    return "exists", uri, f"{_facts(found)}{added}"


def _publishers(versions: Sequence[ModelVersion], folder: Path) -> Mapping[str, ModelVersion]:
    """Return the version that publishes the artifact at each URI: the first one that is declared with it."""
    found: dict[str, ModelVersion] = {}
    for each in versions:
        found.setdefault(each.spec.storage.uri(folder), each)
    return found


def _shared(version: ModelVersion, publisher: ModelVersion) -> str:
    return f"{version.title}: serves the artifact of {publisher.title}"


def _facts(model: Published) -> str:
    digest = f"sha256 {model.sha256}" if model.sha256 else "no recorded SHA-256"
    return digest if model.size is None else f"{digest}, {model.size} bytes"


def _step(version: ModelVersion, state: State, uri: str, note: str = "") -> PlannedStep:
    return PlannedStep(version.spec.model_name, version.spec.version, state, uri, note)


def _plan_manifest(version: ModelVersion, uri: str, optimizing: Optimizing) -> Iterator[PlannedStep]:
    try:
        state = manifest_state(uri, _publication(version, {}))
        lacks_measurement = state != "none" and optimizing.lacks_measurement(version)
    except (OtherManifest, InvalidManifest) as error:
        yield _step(version, "refuse", manifest_uri(uri), str(error).removeprefix(f"{manifest_uri(uri)}: "))
        return
    if state != "none":
        yield _step(version, state, manifest_uri(uri))
    if lacks_measurement:
        yield _step(version, "measure", uri, f"on {optimizing.cpu_class()}")


def publish_versions(
    resources: Resources,
    folder: Path,
    *,
    only_missing: bool = False,
    report: Callable[[str], None] = print,
    lookup: Callable[[str], Published | None] = find,
    complete: Complete = complete_model,
    variants: ReadVariants = published_variants,
    watch: Watch | None = None,
) -> tuple[Published, ...]:
    """Train and publish versions as `publish_function` does. Raises the same errors, except `BadManifest`.

    A version with the storage.path of an earlier one serves its artifact, so nothing is published for it.

    `lookup` returns the published model at a URI, or None; `variants` what is published about it. `complete` writes the
    manifest of one that has none. A published model that was not measured on this CPU class is measured, if a
    ModelOptimization asks for variants.
    """
    optimizing = Optimizing(resources=resources, folder=folder, report=report, variants=variants)
    publishers = _publishers(resources.model_versions, folder)
    existing = {uri: lookup(uri) for uri in publishers if only_missing}
    missing = [each for uri, each in publishers.items() if not existing.get(uri)]
    can_train = (folder / TRAINER).is_file()
    if not can_train:
        _refuse_missing(folder, missing)
    refuse_ambiguous(folder / TRAINER, missing, tuple(publishers.values()))
    published = []
    for version in resources.model_versions:
        uri = version.spec.storage.uri(folder)
        if publishers[uri] is not version:
            report(_shared(version, publishers[uri]))
            continue
        if (found := existing.get(uri)) is not None:
            report(f"{version.title}: already at {found.uri}")
            _complete(folder, version, report=report, complete=complete)
            optimizing.measure(version, partial(trained, folder, version) if can_train else None)
        published.append(found or _publish_version(optimizing, version, watch=watch))
    return tuple(published)


def _refuse_missing(folder: Path, versions: Sequence[ModelVersion]) -> None:
    """Raise `TrainingFailed` with all versions that are not published, before any step, if train.py is missing."""
    missing = [version.spec.storage.uri(folder) for version in versions]
    if missing:
        commands = ", ".join(f"scalezero publish FILE {uri}" for uri in missing)
        reason = f"the file does not exist; write it with train(version, out), or publish existing models: {commands}"
        raise TrainingFailed(folder / TRAINER, reason)


def _publish_version(optimizing: Optimizing, version: ModelVersion, *, watch: Watch | None) -> Published:
    uri, report = version.spec.storage.uri(optimizing.folder), optimizing.report
    report(f"{version.title}: training")
    with trained(optimizing.folder, version) as result:
        publication = _publication(version, result.metrics)
        published = optimizing.publish(version, result, publication, watch=watch)
    metrics = "".join(f", {name} {value:g}" for name, value in result.metrics.items())
    report(f"{version.title}: {'published to' if published.uploaded else 'already at'} {uri}{metrics}")
    return published


def _complete(folder: Path, version: ModelVersion, *, report: Callable[[str], None], complete: Complete) -> None:
    """Write a missing manifest. A failure is only reported: pods serve the model without a manifest."""
    try:
        if complete(version.spec.storage.uri(folder), _publication(version, {}), report):
            report(f"{version.title}: it had no manifest, which was added")
    except OtherManifest as error:
        report(f"{version.title}: its manifest is of another name or version: {error}")
    except (ScalezeroError, ModuleNotFoundError, OSError) as error:
        report(f"{version.title}: its manifest could not be read or added: {error}")


def _publication(version: ModelVersion, metrics: Mapping[str, float]) -> Publication:
    return Publication(name=version.spec.model_name, version=version.spec.version, metrics=metrics)
