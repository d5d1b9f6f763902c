"""The Knative Service of a model. Its template has the name of the revision: a new template creates a new revision."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from knative.manifests import capacity, names
from knative.manifests.container import container, volumes
from knative.manifests.environment import (
    Pin,
    pinned,
    settings_of,
    with_declared,
    with_pinned_companions,
    with_pinned_guest,
)
from knative.manifests.inputs import digest
from knative.manifests.options import DeploymentOptions
from knative.objects import SERVING, Manifest
from knative.resources import InferenceConfig, ModelVersion
from runtime.configuration.companions import Companion
from runtime.settings import Settings


def service(
    version: ModelVersion,
    *,
    config: InferenceConfig | None,
    traffic: Sequence[Manifest],
    options: DeploymentOptions,
    companions: Sequence[Companion] = (),
    pins: Mapping[str, Pin] = MappingProxyType({}),
) -> Manifest:
    """Return the Service with the template of `version`. Raises `BadSetting` for values that Knative refuses.

    `companions` are the other models of its pods. `pins` are the current objects in the registry, by URI. Without a
    pin, the pods serve any object that they find at a URI.
    """
    model = version.spec.model_name
    return {
        "apiVersion": SERVING,
        "kind": "Service",
        "metadata": {
            "name": names.service(model),
            "namespace": options.namespace,
            "labels": {**options.labels, **names.labels(model)},
            **_service_annotations(options),
        },
        "spec": {
            "template": _template(version, config, options, companions, pins),
            "traffic": list(traffic),
        },
    }


def _template(
    version: ModelVersion,
    config: InferenceConfig | None,
    options: DeploymentOptions,
    companions: Sequence[Companion],
    pins: Mapping[str, Pin],
) -> Manifest:
    model = version.spec.model_name
    settings = pinned(settings_of(version, config, options, companions), pins.get(version.spec.storage.path))
    settings = with_pinned_guest(with_pinned_companions(settings, pins), pins)
    timeout = capacity.timeout_seconds(settings)
    return {
        "metadata": {
            "name": names.revision(version),
            "labels": {**options.labels, **names.labels(model, version.spec.version)},
            "annotations": {
                **options.annotations,
                **_scaling(settings, options),
                names.PROGRESS_DEADLINE: f"{capacity.progress_deadline(settings)}s",
                names.INPUTS: digest(version, config, options, companions),
            },
        },
        "spec": {
            "containerConcurrency": capacity.concurrency(settings, options),
            "timeoutSeconds": timeout,
            "responseStartTimeoutSeconds": timeout,  # a response is sent in one piece, so its start may take as long
            "serviceAccountName": options.service_account or names.service_account(model),
            "automountServiceAccountToken": False,  # a model sends no request to the API server
            # A Kubernetes Service named scalezero would add SCALEZERO_PORT to every pod, which is not a setting.
            "enableServiceLinks": False,
            "containers": [container(settings, with_declared(options, config))],
            "volumes": volumes(options),
        },
    }


def _service_annotations(options: DeploymentOptions) -> dict[str, dict[str, str]]:
    annotations = {name: value for name, value in options.annotations.items() if not name.startswith(names.AUTOSCALING)}
    return {"annotations": annotations} if annotations else {}


def _scaling(settings: Settings, options: DeploymentOptions) -> dict[str, str]:
    target = capacity.target(settings, options)
    return {
        names.MIN_SCALE: str(options.min_scale),
        names.MAX_SCALE: str(options.max_scale),
        names.METRIC: options.metric,
        **({} if target is None else {names.TARGET: f"{target:g}"}),
        names.UTILIZATION: f"{options.utilization or capacity.UTILIZATION:g}",
    }
