"""A cluster in memory, as far as an apply can tell it from a real one: versions, generations, Knative's revisions.

tests/e2e holds the real one to the same.
"""

# ruff: noqa: ARG002 - a fake takes all that the real one takes

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from knative.api.client import Answer, Cluster
from knative.api.errors import ClusterUnreachable, Outrun
from knative.objects import Manifest, Ref, ref_of

READY = [{"type": kind, "status": "True"} for kind in ("Ready", "RoutesReady")]


class FakeCluster(Cluster):
    """Objects by their ref. A revision is Ready at the second look at it, unless it is `broken`, with that reason."""

    def __init__(self, broken: Mapping[str, str] | None = None) -> None:
        self.objects: dict[Ref, Manifest] = {}
        self.broken = dict(broken or {})
        self.applied: list[tuple[Ref, dict[str, int] | None]] = []  # what was applied, with its traffic
        self.unready_traffic: list[str] = []  # revisions that were given traffic before they were Ready
        self.pods: list[Manifest] = []
        self.answers: dict[str, Answer] = {}  # of pods
        self.log_lines = ""
        self.looks_at_pods = True  # whether Knative does, when a revision is touched
        self.status_writes = 0  # how many times somebody writes a status just before our next applies
        self.interruptions = 0  # how many of the next looks do not reach the cluster
        self.now = 0.0
        self._version = 0

    def clock(self) -> float:
        return self.now

    def see_namespace(self) -> None:
        """It exists."""

    def get(self, ref: Ref) -> Manifest | None:
        return deepcopy(self.objects.get(ref))

    def list(self, kind: str, *, labels: Mapping[str, str] = {}) -> list[Manifest]:
        held = [each for ref, each in self.objects.items() if ref.kind == kind]
        some = self.pods if kind == "Pod" else held
        return [each for each in some if labels.items() <= each["metadata"].get("labels", {}).items()]

    def apply(
        self, manifest: Manifest, *, manager: str = "scalezero", force: bool = False, dry_run: bool = False
    ) -> Manifest:
        ref = ref_of(manifest)
        live = self.objects.get(ref)
        if self.status_writes and live:
            self.status_writes -= 1
            self._touch(live)
        expected = manifest["metadata"].get("resourceVersion")
        if live and expected and expected != live["metadata"]["resourceVersion"]:
            raise Outrun(str(ref))
        traffic = manifest.get("spec", {}).get("traffic")
        shares = None if traffic is None else {each["revisionName"]: each.get("percent", 0) for each in traffic}
        self.applied.append((ref, shares))
        made = self._held(ref, manifest, live)
        self._knative(made)
        return deepcopy(made)

    def delete(self, ref: Ref) -> bool:
        if ref.kind == "Pod":
            kept = [each for each in self.pods if each["metadata"]["name"] != ref.name]
            self.pods, before = kept, len(self.pods)
            return len(kept) < before
        return self.objects.pop(ref, None) is not None

    def follow(self, kind: str, *, name: str, seconds: float, every: float = 30.0) -> Iterator[Manifest]:
        self.now += seconds
        if self.interruptions:
            self.interruptions -= 1
            raise ClusterUnreachable("https://fake", "Connection refused")
        if found := self.objects.get(Ref(kind, name)):
            yield deepcopy(found)
            if kind == "Revision":
                self._come_up(found)

    def logs(self, pod: str, *, container: str, lines: int, previous: bool = False) -> str:
        return self.log_lines

    def pod_get(self, pod: str, path: str, *, port: int = 8080, timeout: float) -> Answer:
        return self.answers.get(pod, Answer(503, b""))

    def change(self, ref: Ref, *, manager: str, traffic: Sequence[Manifest]) -> None:
        """Let somebody else set the traffic."""
        held = self.objects[ref]
        held["spec"]["traffic"] = [*traffic]
        held["metadata"]["generation"] += 1
        held["metadata"]["managedFields"] = [{"manager": manager, "fieldsV1": {"f:spec": {"f:traffic": {}}}}]
        self._touch(held)
        self._settle(held)

    def _held(self, ref: Ref, manifest: Manifest, live: Manifest | None) -> Manifest:
        held: dict[str, Any] = live if live is not None else {"metadata": {"uid": str(ref), "generation": 0}}
        before = deepcopy(held.get("spec"))
        spec = {**held.get("spec", {}), **deepcopy(manifest.get("spec", {}))}
        kept = {name: held["metadata"][name] for name in ("uid", "generation", "labels") if name in held["metadata"]}
        managed = {"managedFields": held["metadata"].get("managedFields", [])}
        held.update(
            apiVersion=manifest["apiVersion"],
            kind=manifest["kind"],
            metadata={**deepcopy(manifest["metadata"]), **kept, **managed},
            spec=spec,
        )
        held["metadata"]["generation"] += before != spec
        self._touch(held)
        self.objects[ref] = held
        return held

    def _knative(self, held: Manifest) -> None:
        """Make the revision of a Service's template, and have its traffic routed."""
        if held["kind"] == "Revision":  # touched: only one that fails is
            if self.looks_at_pods:
                told = {"type": "Ready", "status": "False", "reason": "ExitCode1", "message": "as its pods say"}
                held["status"] = {"observedGeneration": held["metadata"]["generation"], "conditions": [told]}
            return
        for each in held["spec"].get("traffic", ()):
            found = self.objects.get(Ref("Revision", each["revisionName"]))
            new = held["spec"].get("template", {}).get("metadata", {}).get("name") == each["revisionName"]
            if not _is_ready(found) and not (found is None and new):
                self.unready_traffic.append(each["revisionName"])
        if held["kind"] == "Service":
            self._make_revision(held)
        self._settle(held)

    def _make_revision(self, service: Manifest) -> None:
        template = service["spec"]["template"]
        ref = Ref("Revision", template["metadata"]["name"])
        if ref not in self.objects:
            labels = {
                **template["metadata"].get("labels", {}),
                "serving.knative.dev/service": service["metadata"]["name"],
            }
            self.objects[ref] = {
                "apiVersion": service["apiVersion"],
                "kind": "Revision",
                "metadata": {**deepcopy(template["metadata"]), "labels": labels, "generation": 1, "uid": str(ref)},
                "spec": deepcopy(template["spec"]),
                "status": {"observedGeneration": 1},
            }
            self._touch(self.objects[ref])

    def _come_up(self, revision: Manifest) -> None:
        reason = self.broken.get(revision["metadata"]["name"])
        told = {"status": "False", "reason": "ExitCode1", "message": reason} if reason else {"status": "True"}
        revision["status"]["conditions"] = [{"type": "Ready", **told}]

    def _settle(self, held: Manifest) -> None:
        held["status"] = {
            "observedGeneration": held["metadata"]["generation"],
            "conditions": READY,
            "traffic": deepcopy(held["spec"].get("traffic", [])),
            "url": f"http://{held['metadata']['name']}.test",
        }

    def _touch(self, held: Manifest) -> None:
        self._version += 1
        held["metadata"]["resourceVersion"] = str(self._version)


def _is_ready(revision: Manifest | None) -> bool:
    conditions = (revision or {}).get("status", {}).get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
