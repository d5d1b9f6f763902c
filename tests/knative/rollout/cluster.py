# ruff: noqa: ARG002 - the signatures of the base class
"""A cluster in memory with one Service. It applies every split at once, and can cause rare events."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from typing import Any

from knative.api.client import Answer, Cluster
from knative.api.errors import ClusterError, ClusterUnreachable, Forbidden, Outrun
from knative.objects import Manifest, Ref
from knative.rollout.record import ANNOTATION
from tests.knative.rollout.manifests import pod, revision, service, target

OWNED_BY_THE_ROLLOUT = {"manager": "scalezero-rollout", "fieldsV1": {"f:spec": {"f:traffic": {}}}}


class OneServiceCluster(Cluster):
    """Contain the Service `m` with v1 and v2 and the pods of v2, and call `before_apply` before the applies."""

    def __init__(self, *, ready: str = "True", pods: int = 1) -> None:
        self.namespace = "default"
        self.context = "here"
        self.live = service(target("m-v1", 100, tag="v1"), target("m-v2", 0, tag="v2"))
        self.revisions = {"m-v1": revision("m-v1"), "m-v2": revision("m-v2", ready=ready, message="it crashed")}
        self.pods = [pod(f"pod-{index}") for index in range(pods)]
        self.metrics = ""
        self.wake_requests = 0
        self.wake_is_allowed = self.wake_succeeds = True
        self.applied: list[Manifest] = []
        self.before_apply: list[Callable[[], None]] = []  # the next apply calls and removes the first one
        self.lost_responses: set[int] = set()  # the numbers, from 1, of applies without a response
        self.failing_reads = 0  # number of next reads that fail with `failure`
        self.failure: ClusterError = ClusterUnreachable("https://cluster.test", "refused")

    def get(self, ref: Ref) -> Manifest | None:
        if self.failing_reads:
            self.failing_reads -= 1
            raise self.failure
        return deepcopy(self.live) if ref == Ref("Service", "m") else self.revisions.get(ref.name)

    def list(self, kind: str, *, labels: Mapping[str, str] = {}) -> list[Manifest]:
        objects = {"Revision": [*self.revisions.values()], "Pod": self.pods, "Service": [self.live], "Route": []}
        return objects[kind]

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
        if len(self.applied) in self.lost_responses:
            raise ClusterUnreachable("https://cluster.test", "connection reset")
        return self.live

    def pod_get(self, pod: str, path: str, *, port: int = 8080, timeout: float) -> Answer:
        return Answer(200, self.metrics.encode())

    def revision_get(self, revision: str, path: str, *, timeout: float) -> Answer:
        self.wake_requests += 1
        if not self.wake_is_allowed:
            raise Forbidden("ann", verb="get", resource="services/proxy", group="", namespace="knative-serving")
        if not self.wake_succeeds:
            raise ClusterUnreachable("https://cluster.test", "read timed out")
        self.pods = self.pods or [pod("new")]
        return Answer(200, b"")

    def touch(self, traffic: Any = None, annotations: Mapping[str, str] | None = None) -> None:  # noqa: ANN401
        """Change the Service as another writer does. It gets a new resource version."""
        metadata = self.live["metadata"]
        metadata["resourceVersion"] = str(int(metadata["resourceVersion"]) + 1)
        metadata["annotations"].update(annotations or {})
        if traffic is not None:
            self.live["spec"]["traffic"] = traffic
            urls = {each.get("tag"): each["url"] for each in self.live["status"]["traffic"] if each.get("url")}
            self.live["status"]["traffic"] = [{**each, "url": urls.get(each.get("tag"))} for each in traffic]

    @property
    def record(self) -> str:
        """The annotation with the state of the rollout."""
        return str(self.live["metadata"]["annotations"][ANNOTATION])
