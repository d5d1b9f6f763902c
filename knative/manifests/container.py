"""The one container of a revision: the image, its settings, its probes, and the least privileges."""

from knative.manifests import names
from knative.manifests.environment import environment, whole_sources
from knative.manifests.options import Compute, DeploymentOptions
from knative.manifests.quantities import canonical_bytes, canonical_cpu
from knative.objects import Manifest
from runtime.errors import BadSetting
from runtime.settings import LIVE_PATH, READY_PATH, Settings


def container(settings: Settings, options: DeploymentOptions) -> Manifest:
    """Return the container. Raises `BadSetting` without an image."""
    if options.image is None:
        raise BadSetting("image", value=None, allowed="the image of the runtime: --image, or `image` in func.yaml")
    return {
        "name": names.CONTAINER,
        "image": options.image,
        "ports": [{"name": names.PORT_NAME, "containerPort": names.PORT}],
        "env": environment(settings, options),
        **({"envFrom": whole} if (whole := whole_sources(options)) else {}),
        # Without a period Knative probes several times a second, which shortens a cold start. The revision's progress
        # deadline limits the pull. Knative adds no default to a template that keeps its revision's name, hence the
        # explicit successThreshold.
        "readinessProbe": {"httpGet": {"path": READY_PATH}, "successThreshold": 1},
        # The runtime responds during a pull and during a run, so after three failed probes the process hangs.
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
    """Return the writable volumes: the cache, and /tmp, where Flask stores uploads. Both are deleted with the pod."""
    return [
        {"name": names.CACHE_VOLUME, "emptyDir": {"sizeLimit": canonical_bytes(options.cache_size)}},
        {"name": names.SCRATCH_VOLUME, "emptyDir": {"sizeLimit": canonical_bytes(options.cache_size)}},
    ]


def _quantities(compute: Compute) -> Manifest:
    return {"cpu": canonical_cpu(compute.cpu), "memory": canonical_bytes(compute.memory)}


def _security() -> Manifest:
    """Meet the `restricted` Pod Security Standard on the container; Knative does not allow it on the pod by default."""
    return {
        "runAsNonRoot": True,
        "readOnlyRootFilesystem": True,
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
