"""The ServiceAccount of the pods, and the Roles with the least rights for a deployer."""

from typing import Final

from knative.manifests import names
from knative.manifests.options import DeploymentOptions
from knative.objects import Manifest

_READ: Final = ["get", "list", "watch"]
_WRITE: Final = ["create", "patch", "delete"]  # a server-side apply that creates an object needs both


def service_account(model: str, options: DeploymentOptions) -> Manifest:
    """Return the ServiceAccount. It has no rights, and its token is not mounted."""
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
    """Return the Role of a deployer: all rights in a namespace that the commands of `scalezero` need.

    It reads a Secret only to report that one is missing. It deletes a pod only to retry a revision that failed, and a
    revision only to replace one that was never Ready. It accesses pods through the API server's proxy, for their
    metrics and for the reasons why they are not ready.
    """
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": name, "namespace": namespace, "labels": {names.MANAGED_BY: names.MANAGER}},
        "rules": [
            _rule("serving.knative.dev", ["services", "routes"], [*_READ, *_WRITE]),
            _rule("serving.knative.dev", ["revisions"], [*_READ, "delete"]),
            _rule("eventing.knative.dev", ["brokers", "triggers"], [*_READ, *_WRITE]),
            _rule("flows.knative.dev", ["sequences"], [*_READ, *_WRITE]),
            _rule("sources.knative.dev", ["sinkbindings"], [*_READ, *_WRITE]),
            _rule("apps", ["deployments"], [*_READ, *_WRITE]),
            _rule("", ["serviceaccounts"], ["get", *_WRITE]),
            _rule("", ["pods"], ["list", "delete"]),
            _rule("", ["pods/log", "pods/proxy"], ["get"]),
            _rule("", ["secrets"], ["get"]),
        ],
    }


def waker(name: str = "scalezero-waker") -> Manifest:
    """Return the Role in Knative's namespace that is needed to start a pod of a revision without pods.

    Without it, a rollout requests the URL of the revision's tag, which must be reachable from the machine, and a deploy
    does not retry a failed revision that was scaled to zero.
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
