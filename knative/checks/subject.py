"""What the rules look at: the files, what is to be deployed and how, and the facts that were looked up."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from knative.function.project import Project
from knative.manifests.environment import settings_of
from knative.objects import Manifest, Ref
from knative.resources import InferenceConfig, ModelVersion, Resource
from runtime.errors import BadSetting
from runtime.settings import Settings


class Artifact(NamedTuple):
    """What the registry has under a URI."""

    size: int | None  # bytes; None: nobody told
    sha256: str | None  # None: nobody recorded one


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What was looked up in the registry and the cluster. None: nobody looked, or nobody was told."""

    artifacts: Mapping[str, Artifact | None] = field(default_factory=dict)  # by URI; None: there is none
    secrets: Mapping[str, Collection[str] | None] | None = None  # the keys of those asked for; None: there is none
    service_accounts: Collection[str] | None = None  # those of the ones asked for that are there
    revisions: Mapping[str, Manifest] | None = None  # all of the namespace, by name
    percents: Mapping[str, int] | None = None  # the traffic of all Services of the namespace, by revision


class Served(NamedTuple):
    """A version and what its pods will be told."""

    version: ModelVersion
    config: InferenceConfig | None
    settings: Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject(Project):
    """A project, and the facts that were looked up."""

    facts: Facts = Facts()

    def place(self, resource: Resource, *path: str | int) -> str | None:
        """Name the place of a resource's field as file:line."""
        document = self.documents.get(Ref(resource.kind, resource.metadata.name))
        return f"{document.file}:{document.line(path)}" if document else None

    def place_in_function(self, *path: str | int) -> str | None:
        """Name the place of a field of func.yaml as file:line."""
        return self.function.place(*path) if self.function else None

    def place_unless(self, flag: str | None, where: str | None) -> str | None:
        """Name a place of func.yaml, unless a flag says otherwise than the file."""
        return where if flag is None else None

    def place_of_variable(self, name: str) -> str | None:
        """Name the place of a variable's value in func.yaml, if it stands there."""
        for index, each in enumerate(self.function.function.run.envs if self.function else ()):
            if each.name == name:
                return self.place_in_function("run", "envs", index, "value")
        return None

    def served(self) -> Iterator[Served]:
        """Yield each version that can be served."""
        for version in self.resources.model_versions:
            config = self.resources.config_of(version.spec.model_name)
            try:
                yield Served(version, config, settings_of(version, config, self.options))
            except BadSetting:
                continue  # artifacts.py tells it

    def is_trained(self, version: ModelVersion) -> bool:
        """Tell whether a train.py lies beside the version's manifest."""
        document = self.documents.get(Ref(version.kind, version.metadata.name))
        return document is not None and document.file in self.trained

    def pulls(self) -> bool:
        """Whether a model comes from S3."""
        return any(str(each.settings.model_uri).startswith("s3:") for each in self.served())

    def lacks_keys(self) -> bool:
        """Whether models come from S3, and nothing says with which keys."""
        return self.pulls() and self.options.s3.secret is None and self.options.service_account is None

    def first_of_models(self) -> Iterator[Served]:
        """Yield one version of each model: what a rule says of all would be told for each otherwise."""
        models: set[str] = set()
        for each in self.served():
            if each.version.spec.model_name not in models:
                models.add(each.version.spec.model_name)
                yield each

    def place_of_batching(self, served: Served, field_name: str, variable: str) -> str | None:
        """Name where a batching setting comes from: its InferenceConfig, else func.yaml, else the version."""
        if served.config is not None:
            return self.place(served.config, "spec", field_name)
        return self.place_of_variable(variable) or self.place(served.version)
