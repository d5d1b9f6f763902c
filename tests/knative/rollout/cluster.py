# ruff: noqa: ARG002 - it takes what a Cluster takes
"""A cluster of one Service, which takes every split at once: the seam for what a real one does too rarely."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from knative.api.client import Answer, Cluster
from knative.api.errors import ClusterError, ClusterUnreachable, Forbidden, Outrun
from knative.objects import Manifest, Ref
from knative.rollout.record import ANNOTATION
from tests.knative.rollout.manifests import pod, revision, service, to

MANAGED = {"manager": "scalezero-rollout", "fieldsV1": {"f:spec": {"f:traffic": {}}}}


class Small(Cluster):
    """Holds the Service `m` with v1 and v2, a pod of v2, and a list of what happens before which call."""

    def __init__(self, *, ready: str = "True", pods: int = 1) -> None:
        self.namespace = "default"
        self.live = service(to("m-v1", 100, tag="v1"), to("m-v2", 0, tag="v2"))
        self.revisions = {"m-v1": revision("m-v1"), "m-v2": revision("m-v2", ready=ready, message="it fell over")}
        self.pods = [pod(f"pod-{index}") for index in range(pods)]
        self.metrics = ""
        self.woken = 0
        self.may_wake = self.wakes = True
        self.applied: list[Manifest] = []
        self.before_apply: list[Callable[[], None]] = []  # each once, in order
        self.answers_lost: set[int] = set()  # which applies are done and not answered, counted from 1
        self.down = 0  # how many of the next reads fail
        self.failure: ClusterError = ClusterUnreachable("https://here", "refused")  # and how

    def get(self, ref: Ref) -> Manifest | None:
        if self.down:
            self.down -= 1
            raise self.failure
        return deepcopy(self.live) if ref == Ref("Service", "m") else self.revisions.get(ref.name)

    def list(self, kind: str, *, labels: Mapping[str, str] = {}) -> list[Manifest]:
        held = {"Revision": [*self.revisions.values()], "Pod": self.pods, "Service": [self.live], "Route": []}
        return held[kind]

    def apply(
        self, manifest: Manifest, *, manager: str = "scalezero", force: bool = False, dry_run: bool = False
    ) -> Manifest:
        assert (manager, force) == ("scalezero-rollout", True)
        if self.before_apply:
            self.before_apply.pop(0)()
        if manifest["metadata"]["resourceVersion"] != self.live["metadata"]["resourceVersion"]:
            raise Outrun("service/m")
        assert set(manifest.get("spec", {})) <= {"traffic"}
        self.applied.append(manifest)
        self.touch(manifest.get("spec", {}).get("traffic"), manifest["metadata"]["annotations"])
        if len(self.applied) in self.answers_lost:
            raise ClusterUnreachable("https://here", "connection reset")
        return self.live

    def pod_get(self, pod: str, path: str, *, port: int = 8080, timeout: float) -> Answer:
        return Answer(200, self.metrics.encode())

    def revision_get(self, revision: str, path: str, *, timeout: float) -> Answer:
        self.woken += 1
        if not self.may_wake:
            raise Forbidden("ann", verb="get", resource="services/proxy", group="", namespace="knative-serving")
        if not self.wakes:
            raise ClusterUnreachable("https://here", "read timed out")
        self.pods = self.pods or [pod("woken")]
        return Answer(200, b"")

    def touch(self, traffic: Any = None, annotations: Mapping[str, str] | None = None) -> None:  # noqa: ANN401
        """Change the Service as anybody may, which gives it a version of its own."""
        held = self.live["metadata"]
        held["resourceVersion"] = str(int(held["resourceVersion"]) + 1)
        held["annotations"].update(annotations or {})
        if traffic is not None:
            self.live["spec"]["traffic"] = traffic
            urls = {each.get("tag"): each["url"] for each in self.live["status"]["traffic"] if each.get("url")}
            self.live["status"]["traffic"] = [{**each, "url": urls.get(each.get("tag"))} for each in traffic]

    @property
    def record(self) -> str:
        """The rollout's annotation."""
        return str(self.live["metadata"]["annotations"][ANNOTATION])
