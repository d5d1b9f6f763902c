"""All names, labels and annotations that are derived from a resource.

Knative is stricter than the user's kinds: Services, Revisions, Routes and tags are DNS-1035 labels, which start with a
letter.
"""

import re
from typing import Final

from knative.objects import Manifest
from knative.resources import ModelVersion
from runtime.errors import BadSetting

MANAGER: Final = "scalezero"
NAME: Final = "app.kubernetes.io/name"
MANAGED_BY: Final = "app.kubernetes.io/managed-by"
VERSION: Final = "app.kubernetes.io/version"

SYSTEM_NAMESPACE: Final = "knative-serving"
ACTIVATOR: Final = "http:activator-service:http"  # in the API server's proxy path: scheme, name, port

CONTAINER: Final = "model"
PORT_NAME: Final = "h2c"  # then the gateway and queue-proxy use HTTP/2 to the pod, whatever the client uses
PORT: Final = 8080
REGISTRY_SECRET: Final = "scalezero-s3"  # noqa: S105 - the name that the documentation and `scalezero import` use
REGISTRY_KEYS: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")  # of this Secret, as variables
CACHE_VOLUME: Final = "cache"
CACHE_PATH: Final = "/var/cache/scalezero"
VOLUME: Final = "volume"  # the names of those of func.yaml are volume-0, volume-1, ...
SCRATCH_VOLUME: Final = "tmp"
SCRATCH_PATH: Final = "/tmp"  # noqa: S108 - the mount path of a volume of the pod

# Knative refuses volumes at these paths, and the runtime's own are at the last two.
RESERVED_MOUNTS: Final = frozenset({"/", "/dev", "/dev/log", "/var", "/var/log", CACHE_PATH, SCRATCH_PATH})

MIN_SCALE: Final = "autoscaling.knative.dev/min-scale"
MAX_SCALE: Final = "autoscaling.knative.dev/max-scale"
METRIC: Final = "autoscaling.knative.dev/metric"
TARGET: Final = "autoscaling.knative.dev/target"
UTILIZATION: Final = "autoscaling.knative.dev/target-utilization-percentage"
INPUTS: Final = "scalezero.dev/inputs-sha256"  # the digest of what the user declared for the revision
RECONCILE_REQUESTED: Final = "scalezero.dev/reconcile-requested"  # on a Deployment; its value has no meaning
PROGRESS_DEADLINE: Final = "serving.knative.dev/progress-deadline"
BROKER_CLASS: Final = "eventing.knative.dev/broker.class"

# A deployment sets these, so an author cannot.
RESERVED_LABELS: Final = frozenset({NAME, MANAGED_BY, VERSION})
RESERVED_ANNOTATIONS: Final = frozenset({MIN_SCALE, MAX_SCALE, METRIC, TARGET, UTILIZATION, INPUTS, PROGRESS_DEADLINE})
AUTOSCALING: Final = "autoscaling.knative.dev/"  # Knative allows these annotations on a revision only

# Variables that Knative refuses in a template.
SET_BY_KNATIVE: Final = frozenset({"PORT", "K_SERVICE", "K_CONFIGURATION", "K_REVISION"})
# A SinkBinding adds them to the template of its Service.
SINK: Final = "K_SINK"
SET_BY_BINDING: Final = frozenset({SINK, "K_CE_OVERRIDES", "K_CA_CERTS"})

_MAX_LENGTH: Final = 63
_DNS_1035: Final = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
_ESCAPE: Final = "r-"


def service(model: str) -> str:
    """Return the name of a model's Service, the model's name. Raises `BadSetting` if Knative refuses it."""
    return _dns_1035("modelName", model)


def revision(version: ModelVersion) -> str:
    """Return the name of a version's revision, the resource's name. It starts with the model's name and a dash."""
    return _dns_1035("metadata.name", version.metadata.name)


def route(split: str) -> str:
    """Return the name of a split's Route, the resource's name. Raises `BadSetting`."""
    return _dns_1035("metadata.name", split)


def trigger(model: str, name: str | None) -> str:
    """Return the name of a Trigger: that of the function, or with the trigger's own name after it."""
    return _dns_1035("name" if name else "modelName", model if name is None else f"{model}-{name}")


def broker(name: str) -> str:
    """Return the name of a Broker that a deploy creates: its channel becomes a Service. Raises `BadSetting`."""
    return _dns_1035("events.broker", name)


def subscription(model: str, index: int) -> str:
    """Return the name of the Trigger for a subscription of func.yaml, the same as that of `func deploy`."""
    return _dns_1035("name", f"{model}-function-trigger-{index}")


def service_account(model: str) -> str:
    """Return the name of the ServiceAccount of a model's pods."""
    return service(model)


def tag(model: str, revision: str) -> str:
    """Return the tag of a revision: v1 for payment-model-v1. Raises `BadSetting`.

    A name that cannot be a tag gets a prefix, and so does one that already has it, so no two revisions share a tag. The
    tag and the Service's name are one label of a host name, so both must fit into it.
    """
    rest = revision.removeprefix(f"{model}-")
    short = rest if rest[0].isalpha() and not rest.startswith(_ESCAPE) else f"{_ESCAPE}{rest}"
    host = f"{short}-{model}"
    if len(host) > _MAX_LENGTH:
        raise BadSetting("metadata.name", value=revision, allowed=f"a shorter name: {host} is a label of a host name")
    return short


def labels(model: str, version: str | None = None) -> dict[str, str]:
    """Return the labels of a model's objects, and of one of its versions."""
    known = {NAME: model, MANAGED_BY: MANAGER}
    return known if version is None else {**known, VERSION: _label_value(version)}


def manager_of(manifest: Manifest) -> str | None:
    """Return who created an object, by its label; `MANAGER`: scalezero did."""
    found: str | None = (manifest["metadata"].get("labels") or {}).get(MANAGED_BY)
    return found


def _label_value(text: str) -> str:
    """Convert a version to a label's value, which has no + and ends with a letter or digit."""
    return text.replace("+", "_").rstrip("._-")


def _dns_1035(field: str, name: str) -> str:
    if len(name) > _MAX_LENGTH or not _DNS_1035.fullmatch(name):
        allowed = f"a name for Knative: at most {_MAX_LENGTH} of a-z, 0-9 and -, a letter first, a letter or digit last"
        raise BadSetting(field, value=name, allowed=allowed)
    return name
