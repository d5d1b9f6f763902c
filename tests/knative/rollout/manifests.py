"""Manifests as Knative 1.21 returns them, reduced to the fields that a rollout reads."""

from typing import Any

from knative.objects import Manifest


def service(*traffic: dict[str, Any], name: str = "m", generation: int = 3, **status: Any) -> Manifest:  # noqa: ANN401
    return {
        "metadata": {
            "name": name,
            "namespace": "default",
            "generation": generation,
            "resourceVersion": "7",
            "annotations": {"serving.knative.dev/lastModifier": "admin"},
            "managedFields": [
                {"manager": "scalezero", "fieldsV1": {"f:spec": {"f:template": {}}}},
                {"manager": "kn", "fieldsV1": {"f:spec": {"f:traffic": {}}}},
                {"manager": "controller", "fieldsV1": {"f:status": {}}},
            ],
        },
        "spec": {"traffic": list(traffic)},
        "status": {
            "observedGeneration": generation,
            "latestReadyRevisionName": "m-v2",
            "traffic": [
                {"revisionName": each.get("revisionName", "m-v2"), "percent": each.get("percent")} for each in traffic
            ],
            "conditions": [{"type": "RoutesReady", "status": "True"}],
            **status,
        },
    }


def target(revision: str, percent: int | None = None, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"revisionName": revision, **({} if percent is None else {"percent": percent}), **more}


def revision(name: str, *, version: str | None = None, ready: str | None = "True", message: str = "") -> Manifest:
    environment = [{"name": "A", "valueFrom": {}}]
    if version:
        environment.append({"name": "SCALEZERO_MODEL_VERSION", "value": version})
    conditions = [] if ready is None else [{"type": "Ready", "status": ready, "message": message, "reason": "Why"}]
    return {
        "metadata": {"name": name, "labels": {}},
        "spec": {"containers": [{"name": "model", "env": environment}]},
        "status": {"conditions": conditions},
    }


def pod(name: str, *, ready: str = "True", restarts: int = 0, **metadata: Any) -> Manifest:  # noqa: ANN401
    return {
        "metadata": {"name": name, "labels": {"serving.knative.dev/revision": "m-v2"}, **metadata},
        "status": {
            "conditions": [{"type": "Ready", "status": ready}],
            "containerStatuses": [
                {"name": "model", "restartCount": restarts},
                {"name": "queue-proxy", "restartCount": 9},
            ],
        },
    }
