"""Retry a revision that exists and is not Ready, because the cause of its failure may have been fixed since.

A container in a back-off waits up to five minutes before its next start. So the failing pods are deleted, and
Kubernetes creates new ones at once. Until a new pod is ready, Knative's Ready condition describes the earlier pods.
"""

from collections.abc import Callable, Mapping

from knative.api.client import Cluster
from knative.api.errors import ClusterError
from knative.deploying import explain
from knative.deploying.readiness import Failed, condition, readiness_of
from knative.objects import Manifest, Ref, ref_of


def retry(cluster: Cluster, revision: Manifest, tell: Callable[[str], None]) -> Mapping[str, str]:
    """Delete the pods of the revision that have a problem, and report what is retried.

    Returns the Ready condition that describes the attempt before, or an empty mapping if there is none that failed. A
    pod that starts without a problem continues. A pod that scalezero may not delete stays, which is reported.
    """
    ref = ref_of(revision)
    try:
        for pod in explain.pods_of(cluster, revision):
            if (problem := explain.problem(cluster, pod)) and cluster.delete(Ref("Pod", pod["metadata"]["name"])):
                tell(f"{ref}: failed before; retrying with a new pod ({problem})")
    except ClusterError as error:
        tell(f"{ref}: its failed pods are not replaced: {error}")
    return condition(revision, "Ready") if isinstance(readiness_of(revision), Failed) else {}
