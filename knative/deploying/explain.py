"""Why a revision does not come up: what its pods say, and the runtime in them, before Knative's conditions do.

Knative tells of an image that is not there or a Secret that is missing only when the revision's progress deadline is
over, which is minutes later; the pods know it at once. A runtime that runs and is not ready says why itself.
"""

import json
from collections.abc import Sequence
from typing import Final

from knative.api.client import Cluster
from knative.api.errors import ClusterError
from knative.deploying.errors import RevisionFailed
from knative.deploying.readiness import Failed, Pending, Readiness, Ready, memory_problem, pod_readiness
from knative.manifests.names import CONTAINER, PORT
from knative.objects import REVISION_UID_LABEL, Manifest
from runtime.settings import READY_PATH

_LINES: Final = 8  # of a log; enough for a traceback's end
_LOOK: Final = 2.0  # s for a pod's own word
_DEFAULT_CONTAINER: Final = "kubectl.kubernetes.io/default-container"  # Knative sets it
_UNTOLD: Final = frozenset({"not_loaded", "loading"})  # states of a model with which nothing is wrong


def pods_of(cluster: Cluster, owner: Manifest) -> list[Manifest]:
    """List the pods of a revision or a Deployment that are not ending.

    None of an earlier revision that had the name of this one, and none that an earlier template was labelled by.
    """
    if owner.get("kind") == "Deployment":
        labels = owner["spec"]["template"]["metadata"]["labels"]  # the selector may be without matchLabels
    else:
        labels = {REVISION_UID_LABEL: owner["metadata"]["uid"]}
    return [each for each in cluster.list("Pod", labels=labels) if "deletionTimestamp" not in each["metadata"]]


def pods_readiness(cluster: Cluster, pods: Sequence[Manifest]) -> Readiness | None:
    """Judge what has these pods by them: the first that fails, else what one waits for; None where there are none."""
    judged = [pod_says(cluster, pod) for pod in pods]
    failed = (each for each in judged if isinstance(each, Failed))
    pending = (each for each in judged if isinstance(each, Pending))
    return next(failed, None) or next(pending, None) or (Ready() if judged else None)


def failure(cluster: Cluster, revision: Manifest, reason: str) -> RevisionFailed:
    """Build the error for a revision that failed: the reason, what its pods add to it, their last log lines."""
    name = revision["metadata"]["name"]
    try:
        pods = pods_of(cluster, revision)
        judged = pods_readiness(cluster, pods)
        logs = next(filter(None, (last_lines(cluster, pod) for pod in pods)), ())
    except ClusterError:  # an explanation less, not another failure
        return RevisionFailed(name, reason)
    said = judged.reason if isinstance(judged, Failed) else judged.what if isinstance(judged, Pending) else ""
    # Knative's condition has the exit code of an OOM kill without its reason.
    more = next(filter(None, map(memory_problem, pods)), said)
    known = more in reason or reason in more
    return RevisionFailed(name, max(reason, more, key=len) if known else f"{reason}; {more}", logs)


def last_lines(cluster: Cluster, pod: Manifest) -> tuple[str, ...]:
    """Read the last log lines of the pod's model, of the run that ended where it was started again."""
    name, container = pod["metadata"]["name"], container_of(pod)
    for previous in (_restarted(pod, container), False):
        if text := cluster.logs(name, container=container, lines=_LINES, previous=previous):
            return tuple(readable(line) for line in text.splitlines())
    return ()


def readable(line: str) -> str:
    """Take level, message and reason out of a line of JSON, as the runtime logs; another line stays as it is."""
    try:
        entry = json.loads(line)
    except ValueError:
        return line
    if not isinstance(entry, dict) or "message" not in entry:
        return line
    reason = f": {entry['reason']}" if "reason" in entry else ""
    return f"{entry.get('level', 'INFO')} {entry['message']}{reason}"


def told_by_runtime(body: bytes) -> str | None:
    """Read why the runtime is not ready from its /healthz/ready; None while it just takes its time."""
    try:
        answer = json.loads(body)
        parts = [*answer["models"].values(), *([answer["function"]] if "function" in answer else [])]
        told = [each["message"] for each in parts if each["code"] not in _UNTOLD]
    except (ValueError, LookupError, TypeError, AttributeError):
        return None
    return "; ".join(told) or None


def pod_says(cluster: Cluster, pod: Manifest) -> Readiness:
    """Judge a pod; where it runs and is not ready, by what the runtime in it says."""
    judged = pod_readiness(pod)
    if not isinstance(judged, Pending) or pod.get("status", {}).get("phase") != "Running":
        return judged
    try:
        answer = cluster.pod_get(pod["metadata"]["name"], READY_PATH, port=PORT, timeout=_LOOK)
    except ClusterError:  # no right to ask it
        return judged
    told = told_by_runtime(answer.body)
    return Pending(told) if told else judged


def problem(cluster: Cluster, pod: Manifest) -> str | None:
    """Return why the pod fails, or what its runtime reports; None for a pod that is ready, or starts as expected."""
    judged = pod_says(cluster, pod)
    if isinstance(judged, Failed):
        return judged.reason
    return judged.what if isinstance(judged, Pending) and judged != pod_readiness(pod) else None


def container_of(pod: Manifest) -> str:
    """The name of the container that runs the model and the function."""
    annotations = pod["metadata"].get("annotations") or {}
    return str(annotations.get(_DEFAULT_CONTAINER, CONTAINER))


def _restarted(pod: Manifest, container: str) -> bool:
    """Whether the run that tells something is the one before."""
    statuses: Sequence[Manifest] = pod.get("status", {}).get("containerStatuses") or ()
    return any(each["name"] == container and "terminated" in (each.get("lastState") or {}) for each in statuses)
