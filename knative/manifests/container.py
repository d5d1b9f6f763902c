"""The one container of a revision: the image, its settings, its probes, and the least privileges."""

from knative.manifests import names
from knative.manifests.environment import environment, whole_sources
from knative.manifests.options import Compute, DeploymentOptions, Volume
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
            *(_mount(name, each) for name, each in _named(options)),
        ],
    }


def volumes(options: DeploymentOptions) -> list[Manifest]:
    """Return the volumes: the cache, /tmp, where Flask stores uploads, and those of func.yaml.

    An emptyDir is deleted with its pod.
    """
    return [
        {"name": names.CACHE_VOLUME, "emptyDir": {"sizeLimit": canonical_bytes(options.cache_size)}},
        {"name": names.SCRATCH_VOLUME, "emptyDir": {"sizeLimit": canonical_bytes(options.cache_size)}},
        *({"name": name, **_source(each)} for name, each in _named(options)),
    ]


def _named(options: DeploymentOptions) -> list[tuple[str, Volume]]:
    """Return the volumes of func.yaml with their names, which need not be valid for Kubernetes in func.yaml."""
    return [(f"{names.VOLUME}-{index}", each) for index, each in enumerate(options.volumes)]


def _mount(name: str, volume: Volume) -> Manifest:
    """Return the mount. Knative demands that those of Secrets and ConfigMaps are read-only."""
    return {"name": name, "mountPath": volume.path, **({} if volume.is_writable else {"readOnly": True})}


def _source(volume: Volume) -> Manifest:
    if volume.kind == "secret":
        return {"secret": {"secretName": volume.source}}
    if volume.kind == "configMap":
        return {"configMap": {"name": volume.source}}
    size = {} if volume.size_limit is None else {"sizeLimit": canonical_bytes(volume.size_limit)}
    return {"emptyDir": {**({"medium": volume.medium} if volume.medium else {}), **size}}


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
