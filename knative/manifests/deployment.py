"""The Deployment of another server, completed with the fields that the API server requires (apps/v1).

A Deployment needs a selector, and its pods need the labels that it selects. All fields of the author are kept. Fields
that the API server wrote, in a file from `kubectl get -o yaml`, are removed, because they cannot be applied.
"""

from typing import Final

from knative.manifests import names
from knative.manifests.options import DeploymentOptions
from knative.manifests.quantities import canonical_bytes, canonical_cpu
from knative.objects import Manifest
from knative.resources import ForeignDeployment
from runtime.errors import BadSetting

_SELECTED: Final = "app.kubernetes.io/name"
_QUANTITIES: Final = frozenset({"requests", "limits"})
_KEPT_METADATA: Final = frozenset({"name", "namespace", "labels", "annotations", "finalizers", "ownerReferences"})
_SERVER_ANNOTATIONS: Final = frozenset(
    {"deployment.kubernetes.io/revision", "kubectl.kubernetes.io/last-applied-configuration"}
)


def deployment(foreign: ForeignDeployment, options: DeploymentOptions) -> Manifest:
    """Return the Deployment. Completing it again changes nothing."""
    written = foreign.as_manifest()
    spec = written["spec"]
    labels = _pod_labels(foreign)
    return {
        "apiVersion": written["apiVersion"],
        "kind": written["kind"],
        "metadata": _metadata(written["metadata"], options),
        "spec": {
            **spec,
            "selector": spec.get("selector") or {"matchLabels": {_SELECTED: labels[_SELECTED]}},
            "template": {
                **_canonical(spec["template"]),
                "metadata": {**spec["template"].get("metadata", {}), "labels": labels},
            },
        },
    }


def _canonical(template: Manifest) -> Manifest:
    """Format the quantities as the API server does, so that the manifest compares equal to the stored object."""
    pod = template["spec"]
    lists = {name: [_compute(each) for each in pod[name]] for name in ("initContainers", "containers") if name in pod}
    return {**template, "spec": {**pod, **lists}}


def _compute(container: Manifest) -> Manifest:
    if "resources" not in container:
        return container
    resources = {
        field: {name: _quantity(name, value) for name, value in part.items()} if field in _QUANTITIES else part
        for field, part in container["resources"].items()
    }
    return {**container, "resources": resources}


def _quantity(name: str, value: object) -> str:
    text = str(value)
    try:
        return canonical_cpu(text) if name == "cpu" else canonical_bytes(text)
    except BadSetting:  # a notation that only the API server parses
        return text


def _metadata(written: Manifest, options: DeploymentOptions) -> Manifest:
    kept = {key: value for key, value in written.items() if key in _KEPT_METADATA}
    labels = {**names.labels(written["name"]), **written.get("labels", {})}
    metadata = {**kept, "namespace": options.namespace, "labels": labels}
    if "annotations" in written:
        metadata["annotations"] = {
            key: value for key, value in written["annotations"].items() if key not in _SERVER_ANNOTATIONS
        }
    return metadata


def _pod_labels(foreign: ForeignDeployment) -> dict[str, str]:
    """Return the labels of the pods: the author's override those of the selector, and those override scalezero's."""
    template, selector = foreign.spec.template.metadata, foreign.spec.selector
    return {
        **names.labels(foreign.metadata.name),
        **(selector.match_labels if selector else {}),
        **(template.labels if template else {}),
    }
