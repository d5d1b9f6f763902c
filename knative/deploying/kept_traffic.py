"""The traffic of a Service that an apply does not change. Pure."""

from collections.abc import Sequence

from knative.manifests import names
from knative.objects import Manifest, traffic_writers


def traffic_owner(live: Manifest) -> str | None:
    """Return the field manager that owns the traffic, if it is not scalezero's."""
    owners = traffic_writers(live)
    return None if names.MANAGER in owners else ", ".join(owners) or None


def pinned(traffic: Sequence[Manifest], live: Manifest | None) -> list[Manifest]:
    """Replace `latestRevision` by the revision's name. Otherwise that traffic would move to the next revision at once.

    If no revision was ever Ready, there is no name, and no traffic that could move.
    """
    latest = ((live or {}).get("status") or {}).get("latestReadyRevisionName")
    replacement = {"revisionName": latest} if latest else {"latestRevision": True}
    return [
        {key: value for key, value in each.items() if key not in {"latestRevision", "url"}}
        | ({} if "revisionName" in each else replacement)
        for each in traffic
    ]


def tagged(live: Manifest, wanted: Manifest) -> list[Manifest]:
    """Return the live traffic, and each revision of the wanted one that is not in it, with its tag, at 0 %."""
    kept = pinned(live["spec"]["traffic"], live)
    existing = {each.get("revisionName") for each in kept}
    new = (each for each in wanted["spec"]["traffic"] if each["revisionName"] not in existing)
    return [*kept, *({**each, "percent": 0} for each in new)]
