"""How resources are deployed, as far as they do not say it themselves: the image, its scale, its share of a node."""

import re
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Final

from knative.manifests.names import CACHE_PATH
from runtime.errors import BadSetting
from runtime.settings import Settings

_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN: Final = re.compile(rf"{_NAME.pattern}(\.{_NAME.pattern})*")
_IMAGE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:/@-]*")
_ENDPOINT: Final = re.compile(r"https?://[^\s/]+\S*")
_CPU: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)(m?)")
_MEMORY: Final = re.compile(r"([0-9]{1,15})(|[kMGT]|[KMGT]i)")
_BYTES: Final = {
    "": 1,
    "k": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "Ki": 2**10,
    "Mi": 2**20,
    "Gi": 2**30,
    "Ti": 2**40,
}


def _matching(name: str, value: str, pattern: re.Pattern[str], allowed: str) -> re.Match[str]:
    if not (match := pattern.fullmatch(value)):
        raise BadSetting(name, value=value, allowed=allowed)
    return match


@dataclass(frozen=True, slots=True, kw_only=True)
class Compute:
    """A share of a node, as Kubernetes writes it: cpu "250m" or "1", memory "256Mi"."""

    cpu: str
    memory: str

    def __post_init__(self) -> None:
        """Raise `BadSetting` for what Kubernetes would not read, or would take as nothing."""
        _matching("cpu", self.cpu, _CPU, 'CPUs such as "250m" or "1.5"')
        _matching("memory", self.memory, _MEMORY, 'bytes such as "256Mi" or "1G"')
        if not (self.cores and self.bytes):
            raise BadSetting("resources", value=f"cpu {self.cpu}, memory {self.memory}", allowed="more than nothing")

    @property
    def cores(self) -> Decimal:
        """The CPU share in cores."""
        number, milli = _matching("cpu", self.cpu, _CPU, "CPUs").groups()
        return Decimal(number) / (1000 if milli else 1)

    @property
    def bytes(self) -> int:
        """The memory in bytes."""
        number, unit = _matching("memory", self.memory, _MEMORY, "bytes").groups()
        return int(number) * _BYTES[unit]


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Access:
    """How pods reach the registry. None: nothing is said, and the usual order of AWS finds what there is."""

    secret: str | None = None  # a Secret with AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, perhaps AWS_SESSION_TOKEN
    endpoint_url: str | None = None  # as pods see it; none: AWS
    region: str | None = None

    def __post_init__(self) -> None:
        """Raise `BadSetting` for a name or an address that cannot be one."""
        if self.secret is not None:
            _matching("secret", self.secret, _SUBDOMAIN, "the name of a Secret")
        if self.endpoint_url is not None:
            _matching("endpoint_url", self.endpoint_url, _ENDPOINT, "an address such as http://s3.registry:8333")


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """Options of one deployment, the same for all its models."""

    image: str
    namespace: str = "default"
    min_scale: int = 0  # pods kept without any request
    max_scale: int = 10  # most pods of a revision; 0: no bound
    concurrency: int = 0  # most requests at once in a pod; 0: no bound, so that batches fill
    requests: Compute = Compute(cpu="250m", memory="256Mi")
    limits: Compute = Compute(cpu="1", memory="512Mi")
    cache_size: str = "1Gi"  # of the volume for artifacts; counts as the pod's local storage
    service_account: str | None = None  # one that is there already; none: one is made, with no rights at all
    s3: S3Access = S3Access()
    # The runtime's settings that no resource declares. Where the cache is belongs to the pod.
    runtime: Settings = field(default_factory=lambda: Settings(cache_dir=Path(CACHE_PATH)))

    def __post_init__(self) -> None:
        """Raise `BadSetting` for an option that the cluster would refuse."""
        _matching("image", self.image, _IMAGE, "the reference of an image, such as registry.example/scalezero:0.1")
        _matching("namespace", self.namespace, _NAME, "the name of a namespace")
        _matching("cache_size", self.cache_size, _MEMORY, 'bytes such as "1Gi"')
        if self.service_account is not None:
            _matching("service_account", self.service_account, _SUBDOMAIN, "the name of a ServiceAccount")
        if self.min_scale < 0 or (self.max_scale and self.max_scale < self.min_scale) or self.max_scale < 0:
            value = f"min {self.min_scale}, max {self.max_scale}"
            raise BadSetting(
                "scale", value=value, allowed="0 or more pods, and no more at least than at most (0: no bound)"
            )
        if self.requests.cores > self.limits.cores or self.requests.bytes > self.limits.bytes:
            raise BadSetting("requests", value=self.requests, allowed=f"no more than the limits, {self.limits}")
