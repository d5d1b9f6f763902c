"""Reading and writing manifests.

Each document is parsed (documents.py), converted to the type of its kind, and then checked against the other documents.
The first error stops reading; it has the file, line and field.
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
from knative.resources.documents import MAX_BYTES, Document, FieldPath, documents, dump_yaml, too_large
from knative.resources.errors import BadManifest, Violation, as_yaml
from knative.resources.events import Events
from knative.resources.expectations import suggest
from knative.resources.faults import bad_field, fault
from knative.resources.inference_config import InferenceConfig
from knative.resources.links import has_no_model, model_of
from knative.resources.model_optimization import ModelOptimization
from knative.resources.model_version import ModelVersion
from runtime.settings import is_manifest
from runtime.versions import Order, order

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
    """All resources that were read, each kind in the order of the files and documents."""

    model_versions: tuple[ModelVersion, ...] = ()
    inference_configs: tuple[InferenceConfig, ...] = ()
    model_optimizations: tuple[ModelOptimization, ...] = ()
    ab_services: tuple[ABService, ...] = ()
    api_definitions: tuple[APIDefinition, ...] = ()
    deployments: tuple[ForeignDeployment, ...] = ()  # of other servers
    companion_models: tuple[str, ...] = ()  # models that the revisions of the function's main model serve too

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

    @property
    def services(self) -> tuple[str, ...]:
        """The names of the models with a Service of their own: all that are no companions."""
        return tuple(each for each in self.models if each not in self.companion_models)

    @property
    def revisions(self) -> tuple[ModelVersion, ...]:
        """The versions that are revisions of a Service: all but those of companions."""
        return tuple(each for each in self.model_versions if each.spec.model_name not in self.companion_models)

    @property
    def companions(self) -> tuple[ModelVersion, ...]:
        """The version of each companion that new revisions of the function serve: the highest that is declared."""
        return tuple(max(self.versions_of(each), key=_order) for each in self.companion_models)

    def versions_of(self, model: str) -> tuple[ModelVersion, ...]:
        """Return the versions of a model, in the order of the files."""
        return tuple(each for each in self.model_versions if each.spec.model_name == model)

    def config_of(self, model: str) -> InferenceConfig | None:
        """Return the InferenceConfig of the model, or None. links.py states which model it belongs to."""
        return next((each for each in self.inference_configs if model_of(each, self.models) == model), None)

    def events_of(self, model: str) -> Events | None:
        """Return the events in the InferenceConfig of the model, or None."""
        config = self.config_of(model)
        return config.spec.events if config else None

    def optimization_of(self, model: str) -> ModelOptimization | None:
        """Return the ModelOptimization of the model, or None. links.py states which model it belongs to."""
        return next((each for each in self.model_optimizations if model_of(each, self.models) == model), None)

    def enabled_optimization_of(self, model: str) -> ModelOptimization | None:
        """Return the ModelOptimization of the model if it asks for variants, or None."""
        found = self.optimization_of(model)
        return found if found is not None and found.spec.quantization.enabled else None


def _order(version: ModelVersion) -> Order:
    return order(version.spec.version)


def read_resources(*paths: Path) -> Resources:
    """Read manifests as one set; a folder means all its *.yaml and *.yml, not recursively. Raises `BadManifest`."""
    return collect([document for path in paths for file in manifest_files(path) for document in documents_of(file)])


def parse_resources(text: str, *, file: str) -> Resources:
    """Read manifests from text; errors name it `file`. Raises `BadManifest`."""
    return collect(documents(text, file=file))


def render_resources(resources: Resources) -> str:
    """Format the resources as manifests. `parse_resources` reads equal resources from them."""
    return dump_yaml([msgspec.to_builtins(each) for each in resources])


def manifest_files(path: Path) -> list[Path]:
    """Return the manifests at a path: the file, or all in a folder except its func.yaml. Raises `BadManifest`."""
    if not path.is_dir():
        return [path]
    found = sorted(filter(is_manifest, path.iterdir()))
    if not found:
        raise BadManifest(str(path), None, "folder", value="no manifest", allowed="at least one *.yaml or *.yml file")
    return found


def documents_of(file: Path) -> list[Document]:
    """Parse the documents of a manifest. Raises `BadManifest`, also if the file has no document."""
    found = documents(read_text(file), file=str(file))
    if not found:
        raise BadManifest(str(file), None, "file", value="no document", allowed="at least one resource")
    return found


def read_text(file: Path) -> str:
    """Read the text of a file. Raises `BadManifest` if it is not a regular file, not UTF-8, or too large."""
    try:
        # O_NONBLOCK: opening a pipe without a writer must not block.
        with open(os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb") as opened:  # noqa: PTH123 - a descriptor
            if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
                raise BadManifest(str(file), None, "file", value="a folder, pipe or device", allowed="a regular file")
            raw = opened.read(MAX_BYTES + 1)
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise BadManifest(str(file), None, "file", value=reason, allowed="a readable manifest") from error
    if len(raw) > MAX_BYTES:
        raise too_large(str(file))
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadManifest(
            str(file), None, "file", value=f"invalid UTF-8 ({error.reason})", allowed="UTF-8 text"
        ) from error


def collect(found: Sequence[Document]) -> Resources:
    """Convert documents to resources and check them against each other. Raises `BadManifest`."""
    read = [resource_of(document) for document in found]
    resources = Resources(
        model_versions=tuple(each for each in read if isinstance(each, ModelVersion)),
        inference_configs=tuple(each for each in read if isinstance(each, InferenceConfig)),
        model_optimizations=tuple(each for each in read if isinstance(each, ModelOptimization)),
        ab_services=tuple(each for each in read if isinstance(each, ABService)),
        api_definitions=tuple(each for each in read if isinstance(each, APIDefinition)),
        deployments=tuple(each for each in read if isinstance(each, ForeignDeployment)),
    )
    pairs = list(zip(read, found, strict=True))
    _refuse_unknown_models(pairs, resources.models)
    _refuse_duplicates(pairs, resources.models)
    return resources


def resource_of(document: Document) -> Resource:
    """Convert a document to the resource of its kind. Raises `BadManifest`."""
    data = document.data
    if not isinstance(data, dict):
        allowed = "a mapping with apiVersion, kind, metadata, spec"
        raise bad_field(document, (), value=as_yaml(data), allowed=allowed)
    kind = data.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        value = as_yaml(kind) if "kind" in data else "nothing"
        raise bad_field(document, ("kind",), value=value, allowed=suggest(str(kind), list(KINDS)))
    try:
        return msgspec.convert(data, KINDS[kind])
    except msgspec.ValidationError as error:
        raise fault(error, document, KINDS[kind]) from error


def _refuse_unknown_models(read: Sequence[tuple[Resource, Document]], models: Sequence[str]) -> None:
    """Refuse an InferenceConfig or ModelOptimization that belongs to none of the models."""
    violation = Violation.UNKNOWN_MODEL
    for resource, document in read:
        if not isinstance(resource, InferenceConfig | ModelOptimization) or not has_no_model(resource, models):
            continue
        if name := resource.spec.model_name:
            allowed, at = suggest(name, models), ("spec", "modelName")
            raise bad_field(document, at, value=as_yaml(name), allowed=allowed, violation=violation)
        name = resource.metadata.name
        allowed = f"a name that starts with a model's name and a dash, or a spec.modelName: {suggest(name, models)}"
        raise bad_field(document, ("metadata", "name"), value=as_yaml(name), allowed=allowed, violation=violation)


def _refuse_duplicates(read: Sequence[tuple[Resource, Document]], models: Sequence[str]) -> None:
    """Refuse a second resource with the same name, the same version, or for the same model."""
    first: dict[Hashable, tuple[Document, FieldPath]] = {}
    for resource, document in read:
        for unique in _unique_keys(resource, models):
            first_document, path = first.setdefault(unique.key, (document, unique.path))
            if first_document is not document:
                place = f"{first_document.file}:{first_document.line(path)}"
                allowed = f"{unique.rule}; the first is at {place}"
                value, violation = as_yaml(unique.value), Violation.DECLARED_TWICE
                raise bad_field(document, unique.path, value=value, allowed=allowed, violation=violation)


@dataclass(frozen=True, slots=True, kw_only=True)
class _UniqueKey:
    """A key that only one resource may have, the field it comes from, and the rule for the message."""

    key: Hashable
    path: FieldPath
    value: str
    rule: str


def _unique_keys(resource: Resource, models: Sequence[str]) -> Iterator[_UniqueKey]:
    kind, name = resource.kind, resource.metadata.name
    scope = (kind, resource.metadata.namespace)
    at = ("metadata", "name")
    yield _UniqueKey(key=(scope, name), path=at, value=name, rule=f"a unique name for each {kind}")
    if isinstance(resource, ModelVersion):
        model, version = resource.spec.model_name, resource.spec.version
        rule = f"each version of {model} once"
        yield _UniqueKey(key=(scope, model, version), path=("spec", "version"), value=version, rule=rule)
    elif isinstance(resource, InferenceConfig | ModelOptimization) and (model := model_of(resource, models) or ""):
        named = resource.spec.model_name
        path, value = (("spec", "modelName"), named) if named else (at, name)
        yield _UniqueKey(key=(scope, "of", model), path=path, value=value, rule=f"one {kind} for {model}")
