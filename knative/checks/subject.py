"""The input of the rules: the project, and the facts from the registry and the cluster."""

from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

from knative.function.project import Project
from knative.manifests.environment import companions_of, settings_of
from knative.objects import Manifest, Ref
from knative.resources import InferenceConfig, ModelVersion, Resource
from runtime.errors import BadSetting
from runtime.settings import Settings
from runtime.variants.values import Assessment, Variant


class Artifact(NamedTuple):
    """An artifact in the registry."""

    size: int | None  # bytes; None: unknown
    sha256: str | None  # None: not recorded
    chosen: tuple[Variant, ...] = ()  # the variants that pods of some CPU class serve
    assessments: tuple[Assessment, ...] = ()  # the newest of each CPU class
    is_described: bool = False  # whether what is published about it was read
    original: Variant | None = None  # with its prepared forms; None: not read, or not published with variants


class Guest(NamedTuple):
    """A WebAssembly guest in the registry."""

    sha256: str | None  # None: not recorded


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The facts from the registry and the cluster. None: not queried, or not permitted."""

    artifacts: Mapping[str, Artifact | None] = field(default_factory=dict)  # by URI; None: does not exist
    guests: Mapping[str, Guest | None] = field(default_factory=dict)  # by URI; None: does not exist
    guest_here: str | None = None  # the SHA-256 of the folder's main.wasm; None: it has none, or it was not read
    secrets: Mapping[str, Collection[str] | None] | None = None  # the keys of each queried Secret; None: does not exist
    service_accounts: Collection[str] | None = None  # the queried ServiceAccounts that exist
    revisions: Mapping[str, Manifest] | None = None  # all revisions of the namespace, by name
    percents: Mapping[str, int] | None = None  # the largest share in a Route of the namespace, by revision
    services: Collection[str] | None = None  # the Knative Services of the namespace
    brokers: Collection[str] | None = None  # the Brokers of the namespace
    missing_api: str | None = None  # an API of Knative Eventing that the cluster does not have


class Served(NamedTuple):
    """A version that pods pull, and its settings in them. The version of a companion has no pods of its own."""

    version: ModelVersion
    config: InferenceConfig | None
    settings: Settings
    is_companion: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject(Project):
    """A project, with facts from the registry and the cluster."""

    facts: Facts = Facts()

    def place(self, resource: Resource, *path: str | int) -> str | None:
        """Return the place of a resource's field as file:line."""
        document = self.documents.get(Ref(resource.kind, resource.metadata.name))
        return f"{document.file}:{document.line(path)}" if document else None

    def place_in_function(self, *path: str | int) -> str | None:
        """Return the place of a field of func.yaml as file:line."""
        return self.function.place(*path) if self.function else None

    def place_unless(self, flag: str | None, where: str | None) -> str | None:
        """Return the place in func.yaml, or None if a flag overrides the value there."""
        return where if flag is None else None

    def place_of_image(self) -> str | None:
        """Return the place of the image in func.yaml, or None if a flag overrides it."""
        return self.place_unless(self.flags.image, self.place_in_function("image"))

    def place_of_variable(self, name: str) -> str | None:
        """Return the place of a variable's value in func.yaml, or None if func.yaml does not have the variable."""
        for index, each in enumerate(self.function.function.run.envs if self.function else ()):
            if each.name == name:
                return self.place_in_function("run", "envs", index, "value")
        return None

    def served(self) -> Iterator[Served]:
        """Yield each version with valid settings: those with a revision, and the companions of new revisions."""
        try:
            companions = companions_of(self.resources, self.options)
        except BadSetting:
            companions = ()  # artifacts.py reports it
        for version in self.resources.model_versions:
            model = version.spec.model_name
            is_companion = model in self.resources.companion_models
            if is_companion and version not in self.resources.companions:
                continue
            config = self.resources.config_of(model)
            with suppress(BadSetting):  # as above
                settings = settings_of(version, config, self.options, () if is_companion else companions)
                yield Served(version, config, settings, is_companion)

    def revisions(self) -> Iterator[Served]:
        """Yield each version that has a revision."""
        return (each for each in self.served() if not each.is_companion)

    def has_trainer(self, version: ModelVersion) -> bool:
        """Return whether the folder of the version's manifest has a train.py."""
        document = self.documents.get(Ref(version.kind, version.metadata.name))
        return document is not None and document.file in self.trained

    def uses_eventing(self) -> bool:
        """Return whether the deployment has objects of Knative Eventing."""
        events = (self.resources.events_of(each) for each in self.resources.services)
        declared = any(it.triggers or it.create_broker or it.sequence or it.predictions for it in events if it)
        return declared or bool(self.options.subscriptions)

    def uses_s3(self) -> bool:
        """Return whether pods pull a model from S3."""
        return any(str(each.settings.model_uri).startswith("s3:") for each in self.served())

    def has_no_credentials(self) -> bool:
        """Return whether pods pull models from S3 and neither a Secret nor a ServiceAccount is configured for it."""
        return self.uses_s3() and self.options.s3.secret is None and self.options.service_account is None

    def one_per_model(self) -> Iterator[Served]:
        """Yield one version of each model, for rules that would report the same for each version."""
        models: set[str] = set()
        for each in self.served():
            if each.version.spec.model_name not in models:
                models.add(each.version.spec.model_name)
                yield each

    def place_of_batching(self, served: Served, field_name: str, variable: str) -> str | None:
        """Return the place of a batching setting: in the InferenceConfig, else in func.yaml, else the ModelVersion."""
        if served.config is not None:
            return self.place(served.config, "spec", field_name)
        return self.place_of_variable(variable) or self.place(served.version)
