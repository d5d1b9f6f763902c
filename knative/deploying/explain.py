"""Why a revision does not become Ready, from its pods and the runtime in them.

Knative reports a missing image or Secret only after the progress deadline of the revision, minutes later. The pods have
the reason at once. A runtime that is running and not ready reports its own reason.
"""

import json
from collections.abc import Sequence
from typing import Final

from knative.api.client import Cluster
from knative.api.errors import ClusterError
from knative.deploying.errors import RevisionFailed
from knative.deploying.readiness import Failed, Pending, Readiness, Ready, memory_problem, pod_readiness
from knative.manifests.names import CONTAINER, PORT
from knative.objects import REVISION_UID_LABEL, Manifest, is_being_deleted
from runtime.settings import READY_PATH

_LINES: Final = 8  # of a log; enough for the end of a traceback
_TIMEOUT: Final = 2.0  # s for a pod's answer
_DEFAULT_CONTAINER: Final = "kubectl.kubernetes.io/default-container"  # Knative sets it
_EXPECTED: Final = frozenset({"not_loaded", "loading"})  # states of a model that are no problem


def pods_of(cluster: Cluster, owner: Manifest) -> list[Manifest]:
    """List the pods of a revision or a Deployment, except those that are being deleted.

    Pods of an earlier revision of the same name, or of an earlier template of the Deployment, are not among them.
    """
    if owner.get("kind") == "Deployment":
        labels = owner["spec"]["template"]["metadata"]["labels"]  # the selector may have no matchLabels
    else:
        labels = {REVISION_UID_LABEL: owner["metadata"]["uid"]}
    return [each for each in cluster.list("Pod", labels=labels) if not is_being_deleted(each)]


def combined_readiness(cluster: Cluster, pods: Sequence[Manifest]) -> Readiness | None:
    """Return the first failure among the pods, or what one waits for; None if there are no pods."""
    judged = [diagnose(cluster, pod) for pod in pods]
    failed = (each for each in judged if isinstance(each, Failed))
    pending = (each for each in judged if isinstance(each, Pending))
    return next(failed, None) or next(pending, None) or (Ready() if judged else None)


def failure(cluster: Cluster, revision: Manifest, reason: str) -> RevisionFailed:
    """Return the error for a revision that failed, with the reasons that its pods have and their last log lines."""
    name = revision["metadata"]["name"]
    try:
        pods = pods_of(cluster, revision)
        # Knative's condition has the exit code of an OOM kill without its reason.
        problems = (*map(memory_problem, pods), *(problem(cluster, pod) for pod in pods))
        logs = next(filter(None, (last_lines(cluster, pod) for pod in pods)), ())
    except ClusterError:  # the error is reported without an explanation
        return RevisionFailed(name, reason)
    more = next(filter(None, problems), "")
    known = more in reason or reason in more
    return RevisionFailed(name, max(reason, more, key=len) if known else f"{reason}; {more}", logs)


def last_lines(cluster: Cluster, pod: Manifest) -> tuple[str, ...]:
    """Read the last log lines of the pod's model container; of its previous run if it was restarted."""
    name, container = pod["metadata"]["name"], container_of(pod)
    for previous in (_restarted(pod, container), False):
        if text := cluster.logs(name, container=container, lines=_LINES, previous=previous):
            return tuple(readable(line) for line in text.splitlines())
    return ()


def readable(line: str) -> str:
    """Format a JSON log line of the runtime as level, message and reason; return other lines unchanged."""
    try:
        entry = json.loads(line)
    except ValueError:
        return line
    if not isinstance(entry, dict) or "message" not in entry:
        return line
    reason = f": {entry['reason']}" if "reason" in entry else ""
    return f"{entry.get('level', 'INFO')} {entry['message']}{reason}"


def runtime_reason(body: bytes) -> str | None:
    """Read from the body of /healthz/ready why the runtime is not ready; None if it is only starting."""
    try:
        answer = json.loads(body)
        parts = [*answer["models"].values(), *([answer["function"]] if "function" in answer else [])]
        reasons = [each["message"] for each in parts if each["code"] not in _EXPECTED]
    except (ValueError, LookupError, TypeError, AttributeError):
        return None
    return "; ".join(reasons) or None


def diagnose(cluster: Cluster, pod: Manifest) -> Readiness:
    """Return the readiness of a pod; the runtime's own reason if the pod is running and not ready."""
    judged = pod_readiness(pod)
    if not isinstance(judged, Pending) or pod.get("status", {}).get("phase") != "Running":
        return judged
    try:
        answer = cluster.pod_get(pod["metadata"]["name"], READY_PATH, port=PORT, timeout=_TIMEOUT)
    except ClusterError:  # no permission for the proxy
        return judged
    reason = runtime_reason(answer.body)
    return Pending(reason) if reason else judged


def problem(cluster: Cluster, pod: Manifest) -> str | None:
    """Return why the pod fails, or what its runtime reports; None for a pod that is ready, or starts as expected."""
    judged = diagnose(cluster, pod)
    if isinstance(judged, Failed):
        return judged.reason
    return judged.what if isinstance(judged, Pending) and judged != pod_readiness(pod) else None


def container_of(pod: Manifest) -> str:
    """Return the name of the container that runs the model and the function."""
    annotations = pod["metadata"].get("annotations") or {}
    return str(annotations.get(_DEFAULT_CONTAINER, CONTAINER))


def _restarted(pod: Manifest, container: str) -> bool:
    """Whether the container was restarted, so that the previous run has the log of the failure."""
    statuses: Sequence[Manifest] = pod.get("status", {}).get("containerStatuses") or ()
    return any(each["name"] == container and "terminated" in (each.get("lastState") or {}) for each in statuses)
