"""The Knative Service of a model. Its template names the revision: another template makes another revision."""

from collections.abc import Sequence

from knative.manifests import capacity, names
from knative.manifests.container import container, volumes
from knative.manifests.environment import settings_of
from knative.manifests.options import DeploymentOptions
from knative.objects import SERVING, Manifest
from knative.resources import InferenceConfig, ModelVersion
from runtime.settings import Settings


def service(
    version: ModelVersion,
    *,
    config: InferenceConfig | None,
    traffic: Sequence[Manifest],
    options: DeploymentOptions,
) -> Manifest:
    """Write the Service with the template of `version`. Raises `BadSetting` for what Knative would refuse."""
    model = version.spec.model_name
    return {
        "apiVersion": SERVING,
        "kind": "Service",
        "metadata": {
            "name": names.service(model),
            "namespace": options.namespace,
            "labels": names.labels(model),
        },
        "spec": {
            "template": _template(version, settings_of(version, config, options), options),
            "traffic": list(traffic),
        },
    }


def _template(version: ModelVersion, settings: Settings, options: DeploymentOptions) -> Manifest:
    model = version.spec.model_name
    timeout = capacity.timeout_seconds(settings)
    return {
        "metadata": {
            "name": names.revision(version),
            "labels": names.labels(model, version.spec.version),
            "annotations": _annotations(settings, options),
        },
        "spec": {
            "containerConcurrency": capacity.concurrency(settings, options),
            "timeoutSeconds": timeout,
            "responseStartTimeoutSeconds": timeout,  # an answer comes in one piece, so its start may take as long
            "serviceAccountName": options.service_account or names.service_account(model),
            "automountServiceAccountToken": False,  # a model asks nothing of the cluster
            # A Kubernetes Service called scalezero would put SCALEZERO_PORT into every pod, an unknown setting.
            "enableServiceLinks": False,
            "containers": [container(settings, options)],
            "volumes": volumes(options),
        },
    }


def _annotations(settings: Settings, options: DeploymentOptions) -> dict[str, str]:
    return {
        names.MIN_SCALE: str(options.min_scale),
        names.MAX_SCALE: str(options.max_scale),
        names.METRIC: "concurrency",
        names.TARGET: str(capacity.target(settings)),
        names.UTILIZATION: str(capacity.UTILIZATION),
        names.PROGRESS_DEADLINE: f"{capacity.progress_deadline(settings)}s",
    }
