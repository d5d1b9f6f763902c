"""The Deployment of another server, with what the API server demands of one (apps/v1) and its owner left out.

A Deployment needs a selector, and its pods the labels that it selects. Whatever its owner wrote stands; what the API
server wrote, where the file comes from `kubectl get -o yaml`, is left out, as it cannot be applied.
"""

from typing import Final

from knative.manifests import names
from knative.manifests.container import Manifest
from knative.manifests.options import Deployment
from knative.resources import ForeignDeployment

_SELECTED: Final = "app.kubernetes.io/name"
_OWNERS: Final = frozenset({"name", "namespace", "labels", "annotations", "finalizers", "ownerReferences"})
_SERVERS: Final = frozenset({"deployment.kubernetes.io/revision", "kubectl.kubernetes.io/last-applied-configuration"})


def deployment(foreign: ForeignDeployment, options: Deployment) -> Manifest:
    """Write the Deployment. Completing a completed one changes nothing."""
    written = foreign.as_written()
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
                **spec["template"],
                "metadata": {**spec["template"].get("metadata", {}), "labels": labels},
            },
        },
    }


def _metadata(written: Manifest, options: Deployment) -> Manifest:
    kept = {key: value for key, value in written.items() if key in _OWNERS}
    labels = {**names.labels(written["name"]), **written.get("labels", {})}
    metadata = {**kept, "namespace": options.namespace, "labels": labels}
    if "annotations" in written:
        metadata["annotations"] = {key: value for key, value in written["annotations"].items() if key not in _SERVERS}
    return metadata


def _pod_labels(foreign: ForeignDeployment) -> dict[str, str]:
    """Label the pods: what their owner says of them comes first, then what the selector asks for, then our own."""
    template, selector = foreign.spec.template.metadata, foreign.spec.selector
    return {
        **names.labels(foreign.metadata.name),
        **(selector.match_labels if selector else {}),
        **(template.labels if template else {}),
    }
