"""Who may do what: the account that pods run under, and the rights that a deployment needs, no more."""

from typing import Final

from knative.manifests import names
from knative.manifests.options import DeploymentOptions
from knative.objects import Manifest

_READ: Final = ["get", "list", "watch"]
_WRITE: Final = ["create", "patch", "delete"]  # a server-side apply of what is not there yet asks for both


def service_account(model: str, options: DeploymentOptions) -> Manifest:
    """Write the account: it may do nothing, and its token is mounted nowhere."""
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


def deployer(namespace: str, name: str = "scalezero-deployer") -> Manifest:
    """Write the Role of who deploys: all that the verbs of `scalezero` ask of a namespace.

    It reads a Secret only to tell that one is missing, and reaches pods through the API server for their metrics and
    their own word on why they are not ready.
    """
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": name, "namespace": namespace, "labels": {names.MANAGED_BY: names.MANAGER}},
        "rules": [
            _rule("serving.knative.dev", ["services", "routes"], [*_READ, *_WRITE]),
            _rule("serving.knative.dev", ["revisions"], [*_READ, "patch"]),
            _rule("apps", ["deployments"], [*_READ, *_WRITE]),
            _rule("", ["serviceaccounts"], ["get", *_WRITE]),
            _rule("", ["pods"], ["list"]),
            _rule("", ["pods/log", "pods/proxy"], ["get"]),
            _rule("", ["secrets"], ["get"]),
        ],
    }


def waker(name: str = "scalezero-waker") -> Manifest:
    """Write the Role in Knative's own namespace by which a rollout wakes a revision that has no pod.

    Without it the revision is woken by the URL of its tag, which the person's machine must then reach.
    """
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {
            "name": name,
            "namespace": names.SYSTEM_NAMESPACE,
            "labels": {names.MANAGED_BY: names.MANAGER},
        },
        "rules": [{**_rule("", ["services/proxy"], ["get"]), "resourceNames": [names.ACTIVATOR]}],
    }


def _rule(group: str, resources: list[str], verbs: list[str]) -> Manifest:
    return {"apiGroups": [group], "resources": resources, "verbs": verbs}
