"""Errors of the Kubernetes API, one class each. Each message says what to do.

ScalezeroError
 `-- ClusterError                     a request to the cluster fails
      |-- NoCluster                   no_cluster             no kubeconfig selects a cluster
      |-- BadKubeconfig               bad_kubeconfig
      |-- WrongContext                wrong_context
      |-- ClusterUnreachable          cluster_unreachable
      |    `-- NoAnswerInTime         cluster_unreachable    connected, but no response in time
      |-- NotLoggedIn                 not_logged_in          401
      |-- Forbidden                   forbidden              403
      |-- KnativeMissing              knative_missing
      |-- EventingMissing             eventing_missing
      |-- NotInCluster                not_in_cluster         404
      |-- Conflict                    conflict               409: another field manager owns a field
      |-- Outrun                      outrun                 409: the object changed between read and write
      `-- RefusedByCluster            refused_by_cluster     400, 422, and every other refusal
"""

from collections.abc import Sequence
from typing import NamedTuple

from runtime.errors import ScalezeroError


class ClusterError(ScalezeroError):
    """A request to the cluster failed."""


class NoCluster(ClusterError):
    """No kubeconfig selects a cluster."""

    code = "no_cluster"

    def __init__(self, looked: str) -> None:
        super().__init__(
            f"no cluster is configured: {looked} does not exist; set KUBECONFIG, or start a local cluster "
            "with scripts/cluster up",
            looked=looked,
        )


class BadKubeconfig(ClusterError):
    """The kubeconfig cannot be used."""

    code = "bad_kubeconfig"

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(f"the kubeconfig {file} cannot be used: {reason}", file=file, reason=reason)


class WrongContext(ClusterError):
    """The kubeconfig has no such context. An empty `context` means the current one."""

    code = "wrong_context"

    def __init__(self, context: str, *, known: Sequence[str], file: str) -> None:
        available = ", ".join(known) or "none"
        problem = (
            f"no context {context!r} in {file}" if context else f"{file} has no current context; select one: --context"
        )
        super().__init__(f"{problem}; available: {available}", context=context, known=list(known), file=file)


class ClusterUnreachable(ClusterError):
    """The API server does not answer."""

    code = "cluster_unreachable"

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"the cluster at {address} does not answer: {reason}", address=address, reason=reason)


class NoAnswerInTime(ClusterUnreachable):
    """The API server, or what it proxies to, accepted the connection but did not respond in time."""


class NotLoggedIn(ClusterError):
    """The API server does not accept the credentials."""

    code = "not_logged_in"

    def __init__(self, address: str, *, context: str) -> None:
        super().__init__(
            f"the cluster at {address} does not accept the credentials of context {context!r}; log in again",
            address=address,
            context=context,
        )


class Forbidden(ClusterError):
    """The user has no permission for the request."""

    code = "forbidden"

    def __init__(self, user: str, *, verb: str, resource: str, group: str, namespace: str | None) -> None:
        where = f"in namespace {namespace}" if namespace else "in the whole cluster"
        rule = f"{{apiGroups: [{group or chr(34) * 2}], resources: [{resource}], verbs: [{verb}]}}"
        kind = "Role" if namespace else "ClusterRole"
        super().__init__(
            f"{user} cannot {verb} {resource} {where}; ask for a {kind} with {rule} "
            "(scalezero render --role prints a complete one)",
            user=user,
            verb=verb,
            resource=resource,
            group=group,
            namespace=namespace,
        )


class KnativeMissing(ClusterError):
    """The cluster has no Knative Serving."""

    code = "knative_missing"

    def __init__(self, address: str) -> None:
        super().__init__(
            f"the cluster at {address} has no Knative Serving: the API serving.knative.dev/v1 is missing",
            address=address,
        )


class EventingMissing(ClusterError):
    """The cluster has no Knative Eventing, or lacks one of its APIs; `api` is the group and version."""

    code = "eventing_missing"

    def __init__(self, address: str, api: str) -> None:
        super().__init__(
            f"the cluster at {address} has no Knative Eventing: the API {api} is missing; install Eventing, "
            "or remove `events` from model.yaml and `subscriptions` from func.yaml",
            address=address,
            api=api,
        )


class NotInCluster(ClusterError):
    """An object that the request needs does not exist, such as its namespace."""

    code = "not_in_cluster"

    def __init__(self, kind: str, name: str) -> None:
        next_step = f"; create it: kubectl create namespace {name}" if kind == "namespaces" else ""
        super().__init__(f"the cluster has no {kind.removesuffix('s')} {name!r}{next_step}", kind=kind, name=name)


class Holder(NamedTuple):
    """A field of another field manager: the field's path, and the manager's name."""

    field: str
    manager: str


class Conflict(ClusterError):
    """Another field manager owns fields of the object."""

    code = "conflict"

    def __init__(self, what: str, holders: Sequence[Holder]) -> None:
        self.holders = tuple(holders)
        fields = ", ".join(f"{each.field} (owned by {each.manager})" for each in holders)
        super().__init__(
            f"{what}: another manager wrote {fields}; --force-conflicts overwrites it",
            what=what,
            holders=[each._asdict() for each in holders],
        )


class Outrun(ClusterError):
    """The object changed between read and write."""

    code = "outrun"

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} changed during the command; run it again", what=what)


class RefusedByCluster(ClusterError):
    """The cluster refuses the request; `reason` is its message."""

    code = "refused_by_cluster"

    def __init__(self, what: str, reason: str, *, status: int) -> None:
        super().__init__(f"{what}: refused by the cluster: {reason}", what=what, reason=reason, status=status)
