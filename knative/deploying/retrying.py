"""Retry a revision that exists and is not Ready, because the cause of its failure may have been fixed since.

A container in a back-off waits up to five minutes before its next start. So the failing pods are deleted, and
Kubernetes creates new ones at once. After its progress deadline, Knative scales a failed revision to zero, and only a
request starts a pod. Until a new pod is ready, Knative's Ready condition describes the earlier pods.
"""

import time
from collections.abc import Callable, Mapping
from typing import Final

from knative.api.client import Cluster
from knative.api.errors import ClusterError
from knative.deploying import explain
from knative.deploying.readiness import Failed, condition, readiness_of
from knative.objects import Manifest, Ref, ref_of
from runtime.settings import LIVE_PATH

_REQUEST: Final = 1.0  # s; long enough for the activator to receive the request
_READS: Final = 10  # of the pods, one second apart, until the autoscaler has created one


def retry(
    cluster: Cluster, revision: Manifest, tell: Callable[[str], None], *, sleep: Callable[[float], None] = time.sleep
) -> Mapping[str, str]:
    """Delete the pods of the revision that have a problem, and report what is retried.

    Returns the Ready condition that describes the attempt before, or an empty mapping if there is none that failed. A
    pod that starts without a problem continues. What scalezero is not permitted to do is reported, and not retried.
    """
    ref, readiness, is_retried = ref_of(revision), readiness_of(revision), False
    try:
        pods = explain.pods_of(cluster, revision)
        for pod in pods:
            if (problem := explain.problem(cluster, pod)) and cluster.delete(Ref("Pod", pod["metadata"]["name"])):
                is_retried = True
                tell(f"{ref}: failed before; retrying with a new pod ({problem})")
        if not pods and isinstance(readiness, Failed):
            if not _start_pod(cluster, revision, sleep):
                return {}
            tell(f"{ref}: failed before; retrying with a new pod ({readiness.reason})")
    except ClusterError as error:
        tell(f"{ref}: not retried: {error}")
        if not is_retried:
            return {}
    return condition(revision, "Ready") if isinstance(readiness, Failed) else {}


def _start_pod(cluster: Cluster, revision: Manifest, sleep: Callable[[float], None]) -> bool:
    """Send a request through the activator, which starts a pod; return whether there is one."""
    cluster.revision_get(revision["metadata"]["name"], LIVE_PATH, timeout=_REQUEST)  # the answer does not matter
    for _ in range(_READS):
        if explain.pods_of(cluster, revision):
            return True
        sleep(1.0)
    return False
