"""func.yaml: a function in the format of Knative `func`, exactly as written.

The fields are those of `schema/func_yaml-schema.json` of knative/func at specVersion 0.36.0. The rules beyond the type
of a field are those that `func` checks before it deploys (pkg/functions: ValidateEnvs, ValidateLabels, validateVolumes,
validateOptions). Unlike the schema, a name is required.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from knative.resources.documents import Document, documents
from knative.resources.errors import BadManifest, FieldFault, Violation, as_yaml
from knative.resources.event_filters import refuse_bad_names
from knative.resources.faults import bad_field, fault
from knative.resources.fields import Name, Part, Text, TextMap
from knative.resources.func_values import Envs, Label, refuse_duplicates, source_of
from knative.resources.read import read_text
from runtime.settings import FUNCTION

NonNegative = Annotated[int, Meta(ge=0, le=2**31 - 1, description="a whole number of at least 0")]
Quantity = Annotated[
    str,
    Meta(
        pattern=r"^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)\Z",
        description='a quantity in quotes, such as "250m" or "256Mi"',
    ),
]
TextList = Annotated[tuple[Text, ...], Meta(description="a list of strings")]


class Git(Part, frozen=True, kw_only=True):
    """The repository that `func` builds from."""

    url: Text | None = None
    revision: Text | None = None
    context_dir: Text | None = None


class Build(Part, frozen=True, kw_only=True):
    """How `func` builds an image. scalezero ignores these fields, because scripts/image builds its images."""

    git: Git | None = None
    builder_images: TextMap = msgspec.field(default_factory=dict)
    buildpacks: TextList = ()
    builder: Annotated[Literal["pack", "s2i"], Meta(description="pack or s2i")] | None = None
    build_envs: Envs = ()
    pvc_size: Quantity | None = None
    remote_storage_class: Text | None = None

    def __post_init__(self) -> None:
        """Raise `FieldFault` for a duplicate variable, and for a source other than the environment of the build."""
        refuse_duplicates("buildEnvs", self.build_envs)
        for index, each in enumerate(self.build_envs):
            if each.name is None:
                raise FieldFault("buildEnvs", index, "name", value="nothing", allowed="the name of a variable")
            if (form := source_of(each.value or "")) and form.kind != "env":
                raise FieldFault("buildEnvs", index, "value", value=as_yaml(each.value), allowed='"{{ env:NAME }}"')


class EmptyDir(Part, frozen=True, kw_only=True):
    """A volume that is deleted with its pod."""

    medium: Annotated[Literal["", "Memory"], Meta(description='"" or Memory')] = ""
    size_limit: Quantity | None = None


class PersistentVolumeClaim(Part, frozen=True, kw_only=True):
    """A persistent volume, which exists before the pod."""

    claim_name: Name
    read_only: Annotated[bool, Meta(description="true or false")] = False


class Volume(Part, frozen=True, kw_only=True):
    """One volume and where it is mounted."""

    secret: Text | None = None
    config_map: Text | None = None
    persistent_volume_claim: PersistentVolumeClaim | None = None
    empty_dir: EmptyDir | None = None
    path: Annotated[str, Meta(pattern=r"^/", description="an absolute path")]

    def __post_init__(self) -> None:
        """Raise `FieldFault` if the volume does not have exactly one type."""
        kinds = (self.secret, self.config_map, self.persistent_volume_claim, self.empty_dir)
        if (count := sum(each is not None for each in kinds)) != 1:
            allowed = "exactly one of secret, configMap, persistentVolumeClaim, emptyDir, and a path"
            raise FieldFault(value=f"{count} types of volume", allowed=allowed)


class Run(Part, frozen=True, kw_only=True):
    """The environment of the running function."""

    volumes: Annotated[tuple[Volume, ...], Meta(description="a list of volumes")] = ()
    envs: Envs = ()
    start_timeout: Annotated[int, Meta(description="whole nanoseconds")] | None = None

    def __post_init__(self) -> None:
        """Raise `FieldFault` for a duplicate variable or mount path."""
        refuse_duplicates("envs", self.envs)
        paths = [each.path.rstrip("/") for each in self.volumes]
        for index, path in enumerate(paths):
            if path in paths[:index]:
                raise FieldFault("volumes", index, "path", value=f"a second {as_yaml(path)}", allowed="each path once")


class Scale(Part, frozen=True, kw_only=True):
    """The number of pods and the target that controls it."""

    min: NonNegative | None = None
    max: NonNegative | None = None
    metric: Annotated[Literal["concurrency", "rps"], Meta(description="concurrency or rps")] | None = None
    target: Annotated[float, Meta(ge=0.01, description="a number of at least 0.01")] | None = None
    utilization: Annotated[float, Meta(ge=1, le=100, description="a number from 1 to 100, in percent")] | None = None

    def __post_init__(self) -> None:
        """Raise `FieldFault` if max is below min."""
        if self.min is not None and self.max is not None and self.max < self.min:
            allowed = f"at least {self.min}, the value of min"
            raise FieldFault("max", value=as_yaml(self.max), allowed=allowed, violation=Violation.SCALE_BOUNDS)


class Requests(Part, frozen=True, kw_only=True):
    """The compute resources that are reserved for a pod."""

    cpu: Quantity | None = None
    memory: Quantity | None = None


class Limits(Part, frozen=True, kw_only=True):
    """The maximum compute resources and concurrency of a pod."""

    cpu: Quantity | None = None
    memory: Quantity | None = None
    concurrency: NonNegative | None = None


class Resources(Part, frozen=True, kw_only=True):
    """The requests and limits of a pod."""

    requests: Requests = Requests()
    limits: Limits = Limits()


class Options(Part, frozen=True, kw_only=True):
    """Scale and compute resources."""

    scale: Scale = Scale()
    resources: Resources = Resources()


class HealthEndpoints(Part, frozen=True, kw_only=True):
    """The paths of the probes."""

    liveness: Text | None = None
    readiness: Text | None = None


class Subscription(Part, frozen=True, kw_only=True):
    """The events of a Broker in which these attributes have these values. `func deploy` creates a Trigger for it."""

    source: Name  # of the Broker
    filters: TextMap = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise `FieldFault` for the name of an attribute that Knative refuses."""
        refuse_bad_names("filters", self.filters)


class Deploy(Part, frozen=True, kw_only=True):
    """How the function is deployed."""

    namespace: Name | None = None
    image: Text | None = None
    annotations: TextMap = msgspec.field(default_factory=dict)
    options: Options = Options()
    labels: Annotated[tuple[Label, ...], Meta(description="a list of key and value")] = ()
    health_endpoints: HealthEndpoints = HealthEndpoints()
    service_account_name: Name | None = None
    subscriptions: Annotated[tuple[Subscription, ...], Meta(description="a list of source and filters")] = ()


class Function(Part, frozen=True, kw_only=True):
    """A function, as the user writes it."""

    spec_version: Annotated[Literal["0.36.0"], Meta(description="0.36.0, the only supported schema version")]
    name: Name
    domain: Text | None = None
    runtime: Text | None = None
    registry: Text | None = None
    image: Text | None = None
    namespace: Name | None = None
    created: Annotated[datetime, Meta(description="a time such as 2026-11-23T00:00:00Z")]
    invoke: Annotated[Literal["http", "cloudevent"], Meta(description="http or cloudevent")] = "http"
    build: Build = Build()
    run: Run = Run()
    deploy: Deploy = Deploy()

    @property
    def target_namespace(self) -> str | None:
        """The namespace in which `func deploy` deploys: as written, otherwise that of the last `func deploy`."""
        return self.namespace or self.deploy.namespace


@dataclass(frozen=True, slots=True)
class FunctionFile:
    """A func.yaml: its content, and the document with the line of each field."""

    function: Function
    document: Document

    def place(self, *path: str | int) -> str:
        """Return the place of a field as file:line."""
        return f"{self.document.file}:{self.document.line(path)}"


def read_function(folder: Path) -> FunctionFile:
    """Read the func.yaml of a folder. Raises `BadManifest`."""
    file = folder / FUNCTION
    return parse_function(read_text(file), file=str(file))


def parse_function(text: str, *, file: str) -> FunctionFile:
    """Read a func.yaml from text; errors name it `file`. Raises `BadManifest`."""
    found = documents(text, file=file)
    if len(found) != 1:
        raise BadManifest(file, None, "document", value=f"{len(found)} documents", allowed="one document")
    if not isinstance(found[0].data, dict):
        raise bad_field(found[0], (), value=as_yaml(found[0].data), allowed="a mapping with specVersion, name, created")
    try:
        return FunctionFile(msgspec.convert(found[0].data, Function), found[0])
    except msgspec.ValidationError as error:
        raise fault(error, found[0], Function) from error
