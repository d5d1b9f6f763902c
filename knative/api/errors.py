"""What a cluster lacks, forbids or refuses, one class each, as sentences that say what to do about it.

ScalezeroError
 `-- ClusterError                     the cluster cannot be worked with as it stands
      |-- NoCluster                   no_cluster             nothing says which cluster
      |-- BadKubeconfig               bad_kubeconfig
      |-- WrongContext                wrong_context
      |-- ClusterUnreachable          cluster_unreachable
      |    `-- NoAnswerInTime         the same               it was reached, and said nothing
      |-- NotLoggedIn                 not_logged_in          401
      |-- Forbidden                   forbidden              403
      |-- KnativeMissing              knative_missing
      |-- ObjectMissing               object_missing         404
      |-- Conflict                    conflict               409: somebody else holds a field
      |-- Outrun                      outrun                 409: somebody was faster
      `-- RefusedByCluster            refused_by_cluster     400, 422, and what else says no
"""

from collections.abc import Sequence
from typing import NamedTuple

from runtime.errors import ScalezeroError


class ClusterError(ScalezeroError):
    """The cluster cannot be worked with as it stands."""


class NoCluster(ClusterError):
    """Nothing says which cluster is meant."""

    code = "no_cluster"

    def __init__(self, looked: str) -> None:
        super().__init__(
            f"no cluster is named: {looked} is not there; set KUBECONFIG, or start a cluster "
            "of your own with scripts/cluster up",
            looked=looked,
        )


class BadKubeconfig(ClusterError):
    """The kubeconfig cannot be used."""

    code = "bad_kubeconfig"

    def __init__(self, file: str, reason: str) -> None:
        super().__init__(f"the kubeconfig {file} cannot be used: {reason}", file=file, reason=reason)


class WrongContext(ClusterError):
    """The kubeconfig has no such context; an empty name is the current one."""

    code = "wrong_context"

    def __init__(self, context: str, *, known: Sequence[str], file: str) -> None:
        there = ", ".join(known) or "none"
        came = (
            f"no context {context!r} in {file}" if context else f"{file} has no current context; name one (--context)"
        )
        super().__init__(f"{came}; there are: {there}", context=context, known=list(known), file=file)


class ClusterUnreachable(ClusterError):
    """The API server does not answer."""

    code = "cluster_unreachable"

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"the cluster at {address} does not answer: {reason}", address=address, reason=reason)


class NoAnswerInTime(ClusterUnreachable):
    """There is a connection, and no answer comes: of the API server, or of what it asks for us."""


class NotLoggedIn(ClusterError):
    """The API server does not know who asks."""

    code = "not_logged_in"

    def __init__(self, address: str, *, context: str) -> None:
        super().__init__(
            f"the cluster at {address} does not take the credentials of context {context!r}; log in to it again",
            address=address,
            context=context,
        )


class Forbidden(ClusterError):
    """The API server knows who asks and says no."""

    code = "forbidden"

    def __init__(self, user: str, *, verb: str, resource: str, group: str, namespace: str | None) -> None:
        where = f"in namespace {namespace}" if namespace else "in the whole cluster"
        rule = f"{{apiGroups: [{group or chr(34) * 2}], resources: [{resource}], verbs: [{verb}]}}"
        kind = "Role" if namespace else "ClusterRole"
        super().__init__(
            f"{user} may not {verb} {resource} {where}; ask for a {kind} with {rule} "
            "(scalezero render --role prints all of one)",
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
            f"the cluster at {address} has no Knative Serving: nothing there knows serving.knative.dev/v1",
            address=address,
        )


class ObjectMissing(ClusterError):
    """Something that the request is about is not there, such as its namespace."""

    code = "object_missing"

    def __init__(self, kind: str, name: str) -> None:
        made = f"; kubectl create namespace {name}" if kind == "namespaces" else ""
        super().__init__(f"the cluster has no {kind.removesuffix('s')} {name!r}{made}", kind=kind, name=name)


class Holder(NamedTuple):
    """A field that is somebody else's: its path, and the field manager who wrote it."""

    field: str
    manager: str


class Conflict(ClusterError):
    """Fields of the object are held by somebody else."""

    code = "conflict"

    def __init__(self, what: str, holders: Sequence[Holder]) -> None:
        self.holders = tuple(holders)
        held = ", ".join(f"{each.field} (held by {each.manager})" for each in holders)
        super().__init__(
            f"{what}: somebody else wrote {held}; --force-conflicts takes it over",
            what=what,
            holders=[each._asdict() for each in holders],
        )


class Outrun(ClusterError):
    """The object was changed between the look at it and the write."""

    code = "outrun"

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} was changed by somebody else meanwhile; run it again", what=what)


class RefusedByCluster(ClusterError):
    """The cluster does not take the request; `reason` is its own sentence."""

    code = "refused_by_cluster"

    def __init__(self, what: str, reason: str, *, status: int) -> None:
        super().__init__(f"{what}: the cluster refuses it: {reason}", what=what, reason=reason, status=status)
