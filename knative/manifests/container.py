"""The one container of a revision: the shared image, its settings, its probes, and no more rights than it needs."""

from knative.manifests import names
from knative.manifests.environment import environment
from knative.manifests.options import Compute, DeploymentOptions
from knative.manifests.quantities import canonical_bytes, canonical_cpu
from knative.objects import Manifest
from runtime.errors import BadSetting
from runtime.settings import LIVE_PATH, READY_PATH, Settings


def container(settings: Settings, options: DeploymentOptions) -> Manifest:
    """Write the container. Raises `BadSetting` where no image is known."""
    if options.image is None:
        raise BadSetting("image", value=None, allowed="the image of the runtime: --image, or `image` in func.yaml")
    return {
        "name": names.CONTAINER,
        "image": options.image,
        "ports": [{"name": names.PORT_NAME, "containerPort": names.PORT}],
        "env": environment(settings, options),
        # No period: Knative then probes several times a second, and a cold start loses no time waiting for it. A pull
        # takes as long as it takes: the revision's progress deadline bounds the start.
        # Knative fills in no default where a template is applied again under its revision's name, and then misses this.
        "readinessProbe": {"httpGet": {"path": READY_PATH}, "successThreshold": 1},
        # Answered while the model is pulled and while it computes; three misses are a process that hangs.
        "livenessProbe": {
            "httpGet": {"path": LIVE_PATH},
            "periodSeconds": 10,
            "timeoutSeconds": 5,
            "failureThreshold": 3,
        },
        "resources": {"requests": _quantities(options.requests), "limits": _quantities(options.limits)},
        "securityContext": _security(),
        "volumeMounts": [
            {"name": names.CACHE_VOLUME, "mountPath": names.CACHE_PATH},
            {"name": names.SCRATCH_VOLUME, "mountPath": names.SCRATCH_PATH},
        ],
    }


def volumes(options: DeploymentOptions) -> list[Manifest]:
    """Write what may be written to: the cache, and /tmp, where Flask puts an upload. Both end with the pod."""
    return [
        {"name": names.CACHE_VOLUME, "emptyDir": {"sizeLimit": canonical_bytes(options.cache_size)}},
        {"name": names.SCRATCH_VOLUME, "emptyDir": {"sizeLimit": canonical_bytes(options.cache_size)}},
    ]


def _quantities(compute: Compute) -> Manifest:
    return {"cpu": canonical_cpu(compute.cpu), "memory": canonical_bytes(compute.memory)}


def _security() -> Manifest:
    """Meet the `restricted` Pod Security Standard. On the container, as Knative takes none on the pod by default."""
    return {
        "runAsNonRoot": True,
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
