"""A cluster in memory, with the behaviour that an apply depends on: versions, generations, Knative's revisions.

tests/e2e checks the same behaviour of a real cluster.
"""

# ruff: noqa: ARG002 - the signatures are those of the real class

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from knative.api.client import Answer, Cluster
from knative.api.errors import ClusterUnreachable, EventingMissing, Forbidden, Outrun, RefusedByCluster
from knative.objects import APIS, GENERATION_LABEL, REVISION_LABEL, Manifest, Ref, generation_of, owner_of, ref_of

READY = [{"type": kind, "status": "True"} for kind in ("Ready", "RoutesReady")]


class FakeCluster(Cluster):
    """Objects by reference. A revision becomes Ready after its first `follow`, or fails with its reason in `broken`."""

    def __init__(self, broken: Mapping[str, str] | None = None) -> None:
        self.objects: dict[Ref, Manifest] = {}
        self.broken = dict(broken or {})
        self.applied: list[tuple[Ref, dict[str, int] | None]] = []  # each applied object with its traffic
        self.unready_traffic: list[str] = []  # revisions that got traffic before they were Ready
        self.pods: list[Manifest] = []
        self.answers: dict[str, Answer] = {}  # of pods
        self.log_lines = ""
        self.collects_garbage = True  # whether the revisions of a deleted Service are deleted
        self.reads_pods = True  # whether Knative does when the Deployment of a revision changes
        self.status_writes = 0  # number of next applies before which a controller writes the status
        self.interruptions = 0  # number of next follows that do not reach the cluster
        self.missing_apis: frozenset[str] = frozenset()  # APIs of Knative Eventing
        self.forbidden: frozenset[str] = frozenset()  # kinds that the user may not list
        self.unseen_bindings = 0  # number of next dry runs in which the webhook knows no change of a SinkBinding yet
        self.namespace, self.context = "default", "here"
        self.now = 0.0
        self._version = 0
        self._deletions: Counter[Ref] = Counter()

    def clock(self) -> float:
        return self.now

    def require_namespace(self) -> None:
        """Accept every namespace."""

    def get(self, ref: Ref) -> Manifest | None:
        self._require_api(ref.kind)
        return deepcopy(self.objects.get(ref))

    def list(self, kind: str, *, labels: Mapping[str, str] = {}) -> list[Manifest]:
        if kind in self.forbidden:  # Kubernetes checks the rights first
            raise Forbidden("nobody", verb="list", resource=kind, group="", namespace="default")
        self._require_api(kind)
        stored = [each for ref, each in self.objects.items() if ref.kind == kind]
        candidates = self.pods if kind == "Pod" else stored
        return [deepcopy(each) for each in candidates if labels.items() <= each["metadata"].get("labels", {}).items()]

    def apply(
        self, manifest: Manifest, *, manager: str = "scalezero", force: bool = False, dry_run: bool = False
    ) -> Manifest:
        ref = ref_of(manifest)
        live = self.objects.get(ref)
        if dry_run:
            return self._dry_run(manifest)
        if self.status_writes and live:
            self.status_writes -= 1
            self._touch(live)
        expected = manifest["metadata"].get("resourceVersion")
        if live and expected and expected != live["metadata"]["resourceVersion"]:
            raise Outrun(str(ref))
        traffic = manifest.get("spec", {}).get("traffic")
        shares = None if traffic is None else {each["revisionName"]: each.get("percent", 0) for each in traffic}
        if ref.kind == "Service" and traffic is None and live and not _has_other_manager(live):
            # A field that its only manager omits is removed, and Knative's webhook sets the default.
            manifest = {**manifest, "spec": {**manifest["spec"], "traffic": [{"latestRevision": True, "percent": 100}]}}
        manifest = self._with_variables(manifest)
        _refuse_changed_template(manifest, live)
        self.applied.append((ref, shares))
        stored = self._store(ref, manifest, live)
        self._reconcile(stored)
        return deepcopy(stored)

    def delete(self, ref: Ref, *, seen: Manifest | None = None) -> bool:
        live = self.objects.get(ref)
        if seen is not None and live is not None and seen["metadata"] != live["metadata"]:
            raise Outrun(str(ref))
        if ref.kind == "Pod":
            kept = [each for each in self.pods if each["metadata"]["name"] != ref.name]
            self.pods, before = kept, len(self.pods)
            return len(kept) < before
        if live is not None and ref.kind == "SinkBinding" and Ref("Service", ref.name) in self.objects:
            live["metadata"]["deletionTimestamp"] = "now"  # until Knative has removed the variables from the Service
            return True
        deleted = self.objects.pop(ref, None)
        self._deletions[ref] += 1
        for service in [each for each in self.objects.values() if each["kind"] == "Service"]:
            self._create_revision(service)  # Knative creates a revision again that its template still names
        owned = [key for key, each in self.objects.items() if ref == Ref("Service", str(owner_of(each)))]
        for key in owned if self.collects_garbage else ():
            del self.objects[key]
            self._deletions[key] += 1
        return deleted is not None

    def follow(self, kind: str, *, name: str, seconds: float, every: float = 30.0) -> Iterator[Manifest]:
        self.now += seconds
        if self.interruptions:
            self.interruptions -= 1
            raise ClusterUnreachable("https://fake", "Connection refused")
        if found := self.objects.get(Ref(kind, name)):
            yield deepcopy(found)
            if kind == "Revision":
                self._set_ready(found)

    def logs(self, pod: str, *, container: str, lines: int, previous: bool = False) -> str:
        return self.log_lines

    def pod_get(self, pod: str, path: str, *, port: int = 8080, timeout: float) -> Answer:
        return self.answers.get(pod, Answer(503, b""))

    def change(self, ref: Ref, *, manager: str, traffic: Sequence[Manifest]) -> None:
        """Set the traffic as another manager."""
        stored = self.objects[ref]
        stored["spec"]["traffic"] = [*traffic]
        stored["metadata"]["generation"] += 1
        stored["metadata"]["managedFields"] = [{"manager": manager, "fieldsV1": {"f:spec": {"f:traffic": {}}}}]
        self._touch(stored)
        self._settle(stored)

    def _require_api(self, kind: str) -> None:
        if APIS[kind].version in self.missing_apis:
            raise EventingMissing("https://fake", APIS[kind].version)

    def _dry_run(self, manifest: Manifest) -> Manifest:
        self.now += 1
        if self.unseen_bindings:
            self.unseen_bindings -= 1
            return self._with_variables(manifest, is_seen=False)
        return self._with_variables(manifest)

    def _with_variables(self, manifest: Manifest, *, is_seen: bool = True) -> Manifest:
        """Add the variables of a SinkBinding, or remove those of a deleted one, as Knative's webhook does."""
        ref = ref_of(manifest)
        binding = self.objects.get(Ref("SinkBinding", ref.name))
        if ref.kind != "Service" or binding is None or "template" not in manifest.get("spec", {}):
            return manifest
        changed = deepcopy(manifest)
        (container,) = changed["spec"]["template"]["spec"]["containers"]
        sink = json.dumps(binding["spec"]["sink"])
        kept = [each for each in container["env"] if each["name"] != "K_SINK"]
        is_deleted = "deletionTimestamp" in binding["metadata"]
        container["env"] = kept if is_deleted == is_seen else [*kept, {"name": "K_SINK", "value": sink}]
        return changed

    def _store(self, ref: Ref, manifest: Manifest, live: Manifest | None) -> Manifest:
        stored: dict[str, Any] = live if live is not None else {"metadata": {"uid": self._uid(ref), "generation": 0}}
        before = deepcopy(stored.get("spec"))
        spec = {**stored.get("spec", {}), **deepcopy(manifest.get("spec", {}))}
        names = ("uid", "generation") if ref.kind in {"Route", "Service"} else ("uid", "generation", "labels")
        kept = {name: stored["metadata"][name] for name in names if name in stored["metadata"]}
        managed = {"managedFields": stored["metadata"].get("managedFields", [])}
        stored.update(
            apiVersion=manifest["apiVersion"],
            kind=manifest["kind"],
            metadata={**deepcopy(manifest["metadata"]), **kept, **managed},
            spec=spec,
        )
        stored["metadata"]["generation"] += before != spec
        self._touch(stored)
        self.objects[ref] = stored
        return stored

    def _reconcile(self, stored: Manifest) -> None:
        """Create the revision of a Service's template and set the traffic, as Knative does."""
        if stored["kind"] == "Deployment":  # of a revision that fails
            revision = self.objects.get(Ref("Revision", stored["metadata"].get("labels", {}).get(REVISION_LABEL, "")))
            if revision is not None and self.reads_pods:
                failed = {"type": "Ready", "status": "False", "reason": "ExitCode1", "message": "as its pods report"}
                revision["status"] = {"observedGeneration": revision["metadata"]["generation"], "conditions": [failed]}
            return
        for each in stored["spec"].get("traffic", ()):
            name = each.get("revisionName", "latest")
            found = self.objects.get(Ref("Revision", name))
            new = stored["spec"].get("template", {}).get("metadata", {}).get("name") == name
            if not _is_ready(found) and not (found is None and new):
                self.unready_traffic.append(name)
        if stored["kind"] == "SinkBinding" and Ref("Service", stored["metadata"]["name"]) not in self.objects:
            missing = {"type": "Ready", "status": "False", "reason": "SubjectMissing", "message": "no such Service"}
            stored["status"] = {"conditions": [missing]}
            return
        if stored["kind"] == "Service":
            if (binding := self.objects.get(Ref("SinkBinding", stored["metadata"]["name"]))) is not None:
                self._settle(binding)
                if "deletionTimestamp" in binding["metadata"]:
                    del self.objects[ref_of(binding)]
            self._create_revision(stored)
        self._settle(stored)

    def _create_revision(self, service: Manifest) -> None:
        template = service["spec"]["template"]
        ref = Ref("Revision", template["metadata"]["name"])
        if ref not in self.objects:
            labels = {
                **template["metadata"].get("labels", {}),
                "serving.knative.dev/service": service["metadata"]["name"],
                GENERATION_LABEL: str(service["metadata"]["generation"]),
            }
            self.objects[ref] = {
                "apiVersion": service["apiVersion"],
                "kind": "Revision",
                "metadata": {
                    **deepcopy(template["metadata"]),
                    "labels": labels,
                    "generation": 1,
                    "uid": self._uid(ref),
                },
                "spec": deepcopy(template["spec"]),
                "status": {"observedGeneration": 1},
            }
            self._touch(self.objects[ref])

    def _set_ready(self, revision: Manifest) -> None:
        reason = self.broken.get(revision["metadata"]["name"])
        ready = {"status": "False", "reason": "ExitCode1", "message": reason} if reason else {"status": "True"}
        revision["status"]["conditions"] = [{"type": "Ready", **ready}]

    def _settle(self, stored: Manifest) -> None:
        """Set the status of a Service or a Route to Ready, with its traffic."""
        stored["status"] = {
            "observedGeneration": stored["metadata"]["generation"],
            "conditions": READY,
            "traffic": deepcopy(stored["spec"].get("traffic", [])),
            "url": f"http://{stored['metadata']['name']}.test",
        }
        if stored["kind"] == "Service":
            own = [each for each in self.list("Revision") if owner_of(each) == stored["metadata"]["name"]]
            ready = sorted(filter(_is_ready, own), key=generation_of)
            stored["status"]["latestCreatedRevisionName"] = stored["spec"]["template"]["metadata"]["name"]
            if ready:
                stored["status"]["latestReadyRevisionName"] = ready[-1]["metadata"]["name"]

    def _uid(self, ref: Ref) -> str:
        return f"{ref} {self._deletions[ref]}" if self._deletions[ref] else str(ref)

    def _touch(self, stored: Manifest) -> None:
        """Set a new resource version."""
        self._version += 1
        stored["metadata"]["resourceVersion"] = str(self._version)


def _is_ready(revision: Manifest | None) -> bool:
    conditions = (revision or {}).get("status", {}).get("conditions", ())
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _refuse_changed_template(manifest: Manifest, live: Manifest | None) -> None:
    """Refuse another template under the name of the same revision, as Knative Serving does."""
    before, after = ((each or {}).get("spec", {}).get("template") for each in (live, manifest))
    if before and after and before["metadata"]["name"] == after["metadata"]["name"] and before["spec"] != after["spec"]:
        reason = "Saw the following changes without a name change"
        raise RefusedByCluster(str(ref_of(manifest)), reason, status=400)


def _has_other_manager(service: Manifest) -> bool:
    return any(each["manager"] != "scalezero" for each in service["metadata"].get("managedFields") or ())
