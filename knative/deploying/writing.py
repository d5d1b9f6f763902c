"""The writes of one run of a plan. None overwrites the change of another writer.

An object is written or deleted only if it is still as the run knows it: as the plan saw it, or as the run left it. Its
status may change at any time, so a write that the API server refuses for another version is tried again.
"""

from collections.abc import Mapping
from typing import Final

from knative.api.client import Cluster
from knative.api.errors import Outrun
from knative.deploying.action import Action
from knative.deploying.eventing_plan import is_shared
from knative.deploying.kept_traffic import traffic_owner
from knative.deploying.plan import template_name
from knative.deploying.progress import is_applied
from knative.deploying.readiness import shares
from knative.deploying.replacing import Removal, is_routed, latest_ready_ref, never_served, was_never_ready, without
from knative.objects import Manifest, Ref, ref_of

_ATTEMPTS: Final = 5  # to write an object whose status others write at the same time


class Writes:
    """Writes to the cluster, and keeps the objects as they are known."""

    def __init__(self, cluster: Cluster, observed: Mapping[Ref, Manifest], *, force: bool) -> None:
        """`observed` are the objects that the plan saw; `force` takes the fields of other managers."""
        self.known = dict(observed)
        self._cluster = cluster
        self._force = force

    def apply(self, action: Action, manifest: Manifest) -> bool:
        """Apply the manifest. Raises `Outrun` if the object has changed.

        Returns False for a Broker that another deploy has created since: it is used as it is.
        """
        ref = ref_of(manifest)
        for _ in range(_ATTEMPTS):
            live = self._cluster.get(ref)
            if live and ref not in self.known and is_shared(ref) and is_applied(action, manifest, {ref: live}):
                self.known[ref] = live
                return False
            if self._has_changed(ref, live):
                break
            try:
                fitted = over(manifest, live) if live else manifest
                self.known[ref] = self._cluster.apply(fitted, force=self._force or action.force)
            except Outrun:  # perhaps only its status has changed: read it again
                continue
            return True
        raise Outrun(str(ref))

    def delete(self, ref: Ref) -> None:
        """Delete an object that left the files. Raises `Outrun` if it has changed."""
        for _ in range(_ATTEMPTS):
            live = self._cluster.get(ref)
            if live is not None and self._has_changed(ref, live):
                break
            try:
                if live is not None:
                    self._cluster.delete(ref, seen=live)
            except Outrun:  # as above
                continue
            del self.known[ref]
            return
        raise Outrun(str(ref))

    def remove(self, removal: Removal) -> None:
        """Delete an object that never served. Raises `Outrun` if another one has its name, or it may have served."""
        for _ in range(_ATTEMPTS):
            live = self._cluster.get(removal.ref)
            if live is None:
                break
            if removal.is_done({removal.ref: live}) or not self._may_remove(removal, live):
                raise Outrun(str(removal.ref))
            try:
                self._cluster.delete(removal.ref, seen=live)
            except Outrun:  # as above
                continue
            break
        else:
            raise Outrun(str(removal.ref))
        self.known = without(removal.ref, self.known)

    def read_again(self, ref: Ref) -> Manifest:
        """Return the object with its present status. Raises `Outrun` if it has changed, or is gone."""
        live = self._cluster.get(ref)
        if live is None or self._has_changed(ref, live):
            raise Outrun(str(ref))
        self.known[ref] = live
        return live

    def _may_remove(self, removal: Removal, live: Manifest) -> bool:
        """Return whether the object still has never been Ready: minutes may have passed since the plan."""
        if removal.ref == removal.service:
            return never_served(live)
        service = self._cluster.get(removal.service)
        latest = latest_ready_ref(service)
        ready = self._cluster.get(latest) if latest else None
        if service is None or ready is None:
            return False
        return was_never_ready(live, ready) and not is_routed(live, service, {})

    def _has_changed(self, ref: Ref, live: Manifest | None) -> bool:
        return _identity(live) != _identity(self.known.get(ref))


def over(manifest: Manifest, live: Manifest) -> Manifest:
    """Adapt the manifest to the object that was just read; the API server refuses it for any other version.

    Knative refuses a changed template under the name of an existing revision, and fills in no defaults there. So the
    template of an existing revision is sent back as it is. Traffic that others own and that does not change is left
    out, so that they keep its ownership.
    """
    version = {"resourceVersion": live["metadata"]["resourceVersion"]}
    spec = dict(manifest.get("spec", {}))
    if template_name(manifest) is not None and template_name(manifest) == template_name(live):
        spec["template"] = live["spec"]["template"]
    if "traffic" in spec and traffic_owner(live) and shares(spec["traffic"]) == shares(live["spec"]["traffic"]):
        del spec["traffic"]
    return {**manifest, "metadata": {**manifest["metadata"], **version}, **({"spec": spec} if spec else {})}


def _identity(manifest: Manifest | None) -> tuple[object, object] | None:
    """Identify an object with one state of its spec; its status may change."""
    if manifest is None:
        return None
    return manifest["metadata"].get("uid"), manifest["metadata"].get("generation")
