"""The identity of a model's pods: one that may do nothing and carries no token."""

from knative.manifests import names
from knative.manifests.container import Manifest
from knative.manifests.options import Deployment


def service_account(model: str, options: Deployment) -> Manifest:
    """Write the ServiceAccount. Nothing is bound to it."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {
            "name": names.service_account(model),
            "namespace": options.namespace,
            "labels": names.labels(model),
        },
        "automountServiceAccountToken": False,
    }
