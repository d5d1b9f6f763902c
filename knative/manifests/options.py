"""The options of a deployment that no resource declares: image, scale, compute resources, access to the registry."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Final, Literal, NamedTuple

from knative.manifests import names
from knative.manifests.names import CACHE_PATH, SET_BY_KNATIVE
from knative.manifests.quantities import cores, in_bytes
from runtime.errors import BadSetting
from runtime.settings import Settings

_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN: Final = re.compile(rf"{_NAME.pattern}(\.{_NAME.pattern})*")
_IMAGE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/@-]*")
_ENDPOINT: Final = re.compile(r"https?://[^\s/]+\S*")


def _match(name: str, value: str, pattern: re.Pattern[str], allowed: str) -> re.Match[str]:
    if not (match := pattern.fullmatch(value)):
        raise BadSetting(name, value=value, allowed=allowed)
    return match


def _check_volume(volume: "Volume", others: Sequence[str]) -> None:
    if volume.path in {*names.RESERVED_MOUNTS, *others}:
        taken = ", ".join(sorted(names.RESERVED_MOUNTS))
        raise BadSetting("volumes", value=volume.path, allowed=f"each path once, and none of {taken}")
    if ":" in volume.path:
        raise BadSetting("volumes", value=volume.path, allowed="a path without :, which Kubernetes refuses")
    if volume.kind == "emptyDir":
        in_bytes("volumes", volume.size_limit or "1")
    else:
        _match("volumes", volume.source, _SUBDOMAIN, f"the name of a {volume.kind[:1].upper()}{volume.kind[1:]}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compute:
    """CPU and memory in Kubernetes' notation: cpu "250m" or "1", memory "256Mi"."""

    cpu: str
    memory: str

    def __str__(self) -> str:
        """Format it for an error message."""
        return f"cpu {self.cpu}, memory {self.memory}"

    def __post_init__(self) -> None:
        """Raise `BadSetting` for values that Kubernetes cannot parse, and for zero."""
        if not (self.cores and self.bytes):
            raise BadSetting("resources", value=str(self), allowed="more than 0")

    @property
    def cores(self) -> Decimal:
        """The CPU in cores."""
        return cores(self.cpu)

    @property
    def bytes(self) -> int:
        """The memory in bytes."""
        return in_bytes("memory", self.memory)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryAccess:
    """How pods access the registry. None: AWS' default order of sources applies."""

    secret: str | None = None  # with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, optionally AWS_SESSION_TOKEN
    endpoint_url: str | None = None  # from inside a pod; None: AWS
    region: str | None = None

    def __post_init__(self) -> None:
        """Raise `BadSetting` for an invalid name or address."""
        if self.secret is not None:
            _match("secret", self.secret, _SUBDOMAIN, "the name of a Secret")
        if self.endpoint_url is not None:
            _match("endpoint_url", self.endpoint_url, _ENDPOINT, "an address such as http://s3.registry:8333")


class ClusterVariable(NamedTuple):
    """A variable of the author's function with its value in the cluster. A pod reads it when it starts."""

    name: str | None  # None: a variable for each key of the Secret or ConfigMap
    kind: Literal["secret", "configMap"]
    source: str  # the name of the Secret or ConfigMap
    key: str | None = None  # None if there is no name


class Volume(NamedTuple):
    """A volume of func.yaml, in addition to those of the runtime."""

    path: str  # where it is mounted, normalised
    kind: Literal["secret", "configMap", "emptyDir"]
    source: str = ""  # the name of the Secret or ConfigMap
    size_limit: str | None = None  # of an emptyDir; None: the node's disk
    medium: str = ""  # of an emptyDir; Memory: a tmpfs, which counts as memory of the pod

    @property
    def is_writable(self) -> bool:
        """Whether the pod may write to it."""
        return self.kind == "emptyDir"


class Subscription(NamedTuple):
    """A subscription of func.yaml: the events of a Broker in which these attributes have these values."""

    broker: str
    attributes: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentOptions:
    """The options of one deployment, for all its models."""

    image: str | None = None  # of the runtime; None: only Deployments of other servers are deployed
    namespace: str = "default"
    min_scale: int = 0  # pods that run without requests
    max_scale: int = 10  # maximum number of pods of a revision; 0: no limit
    metric: Literal["concurrency", "rps"] = "concurrency"  # the metric of the autoscaler
    target: float | None = None  # of the metric per pod; None: two batches, or Knative's own for rps
    utilization: float | None = None  # percent of the target at which another pod starts; None: 70
    concurrency: int = 0  # maximum of concurrent requests in a pod; 0: no limit, so that batches fill
    requests: Compute = Compute(cpu="250m", memory="256Mi")
    limits: Compute = Compute(cpu="1", memory="512Mi")
    cache_size: str = "1Gi"  # of the volume for artifacts; counts as ephemeral storage of the pod
    volumes: tuple[Volume, ...] = ()  # by path
    service_account: str | None = None  # an existing one; None: a new one without any rights
    s3: RegistryAccess = RegistryAccess()
    # Variables of the author's function, such as {"MODEL_NAME": "payment-model"}; no settings of the runtime.
    environment: Mapping[str, str] = field(default_factory=dict)
    cluster_environment: tuple[ClusterVariable, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)  # more labels of Services and revisions
    annotations: Mapping[str, str] = field(default_factory=dict)  # more annotations of Services and revisions
    # The runtime's settings that no resource declares, with the cache folder of the pod.
    runtime: Settings = field(default_factory=lambda: Settings(cache_dir=Path(CACHE_PATH)))
    declared: frozenset[str] = frozenset()  # variables of settings that are rendered even with their default
    function: str | None = None  # the name of the function whose options these are, as in func.yaml
    subscriptions: tuple[Subscription, ...] = ()  # of this function

    def __post_init__(self) -> None:
        """Raise `BadSetting` for an option that the cluster refuses."""
        if self.image is not None:
            _match("image", self.image, _IMAGE, "the reference of an image, such as registry.example/scalezero:0.1")
        _match("namespace", self.namespace, _NAME, "the name of a namespace")
        in_bytes("cache_size", self.cache_size)
        if reserved_names := self.environment.keys() & SET_BY_KNATIVE:
            raise BadSetting(
                "environment", value=", ".join(sorted(reserved_names)), allowed="no variable that Knative sets"
            )
        for option, reserved in (("labels", names.RESERVED_LABELS), ("annotations", names.RESERVED_ANNOTATIONS)):
            if taken := sorted(getattr(self, option).keys() & reserved):
                raise BadSetting(option, value=", ".join(taken), allowed="none that scalezero deploy sets")
        for index, each in enumerate(self.volumes):
            _check_volume(each, [other.path for other in self.volumes[:index]])
        if self.service_account is not None:
            _match("service_account", self.service_account, _SUBDOMAIN, "the name of a ServiceAccount")
        if self.min_scale < 0 or (self.max_scale and self.max_scale < self.min_scale) or self.max_scale < 0:
            value = f"min {self.min_scale}, max {self.max_scale}"
            raise BadSetting("scale", value=value, allowed="0 or more pods, and min at most max (max 0: no limit)")
        if self.requests.cores > self.limits.cores or self.requests.bytes > self.limits.bytes:
            raise BadSetting("requests", value=str(self.requests), allowed=f"at most the limits, {self.limits}")

    def subscriptions_of(self, model: str) -> tuple[Subscription, ...]:
        """Return the subscriptions of a model's Service: those of func.yaml, if it is the function."""
        return self.subscriptions if model == self.function else ()
