"""Manifests in, resources out, and back again.

Each document is parsed (documents.py), converted to the kind it names, and then looked at beside the others. The first
fault stops the reading with its file, line and field.
"""

import os
import stat
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from knative.resources.ab_service import ABService
from knative.resources.api_definition import APIDefinition
from knative.resources.deployment import ForeignDeployment
from knative.resources.documents import MOST_BYTES, Document, FieldPath, documents, text_of, too_large
from knative.resources.errors import BadManifest, Violation, as_yaml
from knative.resources.expectations import nearest_of
from knative.resources.faults import bad_field, fault
from knative.resources.inference_config import InferenceConfig
from knative.resources.links import belongs_to_none, model_of
from knative.resources.model_optimization import ModelOptimization
from knative.resources.model_version import ModelVersion
from runtime.settings import is_manifest

Resource = ModelVersion | InferenceConfig | ModelOptimization | ABService | APIDefinition | ForeignDeployment

KINDS: dict[str, type[Resource]] = {
    "ModelVersion": ModelVersion,
    "InferenceConfig": InferenceConfig,
    "ModelOptimization": ModelOptimization,
    "Service": ABService,
    "APIDefinition": APIDefinition,
    "Deployment": ForeignDeployment,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """All that was read, each kind in the order of the files and documents."""

    model_versions: tuple[ModelVersion, ...] = ()
    inference_configs: tuple[InferenceConfig, ...] = ()
    model_optimizations: tuple[ModelOptimization, ...] = ()
    ab_services: tuple[ABService, ...] = ()
    api_definitions: tuple[APIDefinition, ...] = ()
    deployments: tuple[ForeignDeployment, ...] = ()  # of other servers

    def __iter__(self) -> Iterator[Resource]:
        """Yield every resource."""
        yield from self.model_versions
        yield from self.inference_configs
        yield from self.model_optimizations
        yield from self.ab_services
        yield from self.api_definitions
        yield from self.deployments

    @property
    def models(self) -> tuple[str, ...]:
        """The names of the models, each once."""
        return tuple(dict.fromkeys(version.spec.model_name for version in self.model_versions))

    def config_of(self, model: str) -> InferenceConfig | None:
        """Find the InferenceConfig that belongs to the model, by the rule of links.py."""
        return next((each for each in self.inference_configs if model_of(each, self.models) == model), None)

    def optimization_of(self, model: str) -> ModelOptimization | None:
        """Find the ModelOptimization that belongs to the model, by the rule of links.py."""
        return next((each for each in self.model_optimizations if model_of(each, self.models) == model), None)


def read_resources(*paths: Path) -> Resources:
    """Read manifests, and of a folder every *.yaml and *.yml right in it, as one whole. Raises `BadManifest`."""
    return collect([document for path in paths for file in files_of(path) for document in documents_of(file)])


def parse_resources(text: str, *, file: str) -> Resources:
    """Read manifests from text; `file` is what errors call it. Raises `BadManifest`."""
    return collect(documents(text, file=file))


def render_resources(resources: Resources) -> str:
    """Write the resources as manifests, which `parse_resources` reads back as the same."""
    return text_of([msgspec.to_builtins(each) for each in resources])


def files_of(path: Path) -> list[Path]:
    """Find the manifests at a path: the file, or all in a folder except its func.yaml. Raises `BadManifest`."""
    if not path.is_dir():
        return [path]
    found = sorted(filter(is_manifest, path.iterdir()))
    if not found:
        raise BadManifest(str(path), None, "folder", value="no *.yaml in it", allowed="at least one manifest")
    return found


def documents_of(file: Path) -> list[Document]:
    """Parse the documents of a manifest. Raises `BadManifest`, also where there is none."""
    found = documents(content(file), file=str(file))
    if not found:
        raise BadManifest(str(file), None, "file", value="no document", allowed="at least one resource")
    return found


def content(file: Path) -> str:
    """Read a file's text. Raises `BadManifest` where it is none, or larger than a manifest may be."""
    try:
        # A pipe that nobody writes to does not block the opening.
        with open(os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as opened:  # noqa: PTH123 - a descriptor
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                raise BadManifest(str(file), None, "file", value="a folder, pipe or device", allowed="a regular file")
            raw = opened.read(MOST_BYTES + 1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise BadManifest(str(file), None, "file", value=reason, allowed="a manifest that can be read") from error
    if len(raw) > MOST_BYTES:
        raise too_large(str(file))
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadManifest(str(file), None, "file", value=f"no UTF-8 ({error.reason})", allowed="UTF-8 text") from error


def collect(found: Sequence[Document]) -> Resources:
    """Take documents for what they are, and look at them beside each other. Raises `BadManifest`."""
    read = [resource_of(document) for document in found]
    resources = Resources(
        model_versions=tuple(each for each in read if isinstance(each, ModelVersion)),
        inference_configs=tuple(each for each in read if isinstance(each, InferenceConfig)),
        model_optimizations=tuple(each for each in read if isinstance(each, ModelOptimization)),
        ab_services=tuple(each for each in read if isinstance(each, ABService)),
        api_definitions=tuple(each for each in read if isinstance(each, APIDefinition)),
        deployments=tuple(each for each in read if isinstance(each, ForeignDeployment)),
    )
    placed = list(zip(read, found, strict=True))
    _refuse_unknown_models(placed, resources.models)
    _refuse_rivals(placed, resources.models)
    return resources


def resource_of(document: Document) -> Resource:
    """Take a document for the resource that it is. Raises `BadManifest`."""
    data = document.data
    if not isinstance(data, dict):
        allowed = "a mapping with apiVersion, kind, metadata, spec"
        raise bad_field(document, (), value=as_yaml(data), allowed=allowed)
    kind = data.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        value = as_yaml(kind) if "kind" in data else "nothing"
        raise bad_field(document, ("kind",), value=value, allowed=nearest_of(str(kind), list(KINDS)))
    try:
        return msgspec.convert(data, KINDS[kind])
    except msgspec.ValidationError as error:
        raise fault(error, document, KINDS[kind]) from error


def _refuse_unknown_models(read: Sequence[tuple[Resource, Document]], models: Sequence[str]) -> None:
    """Refuse an InferenceConfig or ModelOptimization of no model that was read."""
    violation = Violation.UNKNOWN_MODEL
    for resource, document in read:
        if not isinstance(resource, InferenceConfig | ModelOptimization) or not belongs_to_none(resource, models):
            continue
        if name := resource.spec.model_name:
            allowed, at = nearest_of(name, models), ("spec", "modelName")
            raise bad_field(document, at, value=as_yaml(name), allowed=allowed, violation=violation)
        name = resource.metadata.name
        allowed = f"a name that begins with a model's and a dash, or a spec.modelName: {nearest_of(name, models)}"
        raise bad_field(document, ("metadata", "name"), value=as_yaml(name), allowed=allowed, violation=violation)


def _refuse_rivals(read: Sequence[tuple[Resource, Document]], models: Sequence[str]) -> None:
    """Refuse a second resource where only one can hold: of one name, of one version, for one model."""
    first: dict[Hashable, tuple[Document, FieldPath]] = {}
    for resource, document in read:
        for claim in _claims(resource, models):
            holder, path = first.setdefault(claim.key, (document, claim.path))
            if holder is not document:
                place = f"{holder.file}:{holder.line(path)}"
                allowed = f"{claim.rule}; the first is at {place}"
                value, violation = as_yaml(claim.value), Violation.DECLARED_TWICE
                raise bad_field(document, claim.path, value=value, allowed=allowed, violation=violation)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claim:
    """What one resource alone may hold, the field that says so, and the rule."""

    key: Hashable
    path: FieldPath
    value: str
    rule: str


def _claims(resource: Resource, models: Sequence[str]) -> Iterator[_Claim]:
    kind, name = resource.kind, resource.metadata.name
    scope = (kind, resource.metadata.namespace)
    at = ("metadata", "name")
    yield _Claim(key=(scope, name), path=at, value=name, rule=f"each {kind} under its own name")
    if isinstance(resource, ModelVersion):
        model, version = resource.spec.model_name, resource.spec.version
        rule = f"each version of {model} once"
        yield _Claim(key=(scope, model, version), path=("spec", "version"), value=version, rule=rule)
    elif isinstance(resource, InferenceConfig | ModelOptimization) and (model := model_of(resource, models) or ""):
        named = resource.spec.model_name
        path, value = (("spec", "modelName"), named) if named else (at, name)
        yield _Claim(key=(scope, "of", model), path=path, value=value, rule=f"one {kind} for {model}")
