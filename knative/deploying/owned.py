"""The fields that scalezero set in an object before, and that its manifest no longer has. Pure.

An apply removes them, because scalezero owns them (server-side apply, "Field management"). A comparison of the
manifest's own fields does not find them: a filter or a retry that left the files would still be in the cluster.
"""

from collections.abc import Iterator
from typing import Any, Final

from knative.deploying.differences import Difference, differences
from knative.manifests.names import MANAGER
from knative.objects import Manifest

_PREFIX: Final = "f:"  # of a field in fieldsV1
_DEFAULTED: Final = frozenset({"namespace"})  # Knative adds it to each reference


def left_fields(manifest: Manifest, live: Manifest) -> tuple[Difference, ...]:
    """List the fields below `spec` that scalezero has applied, and that the manifest does not have."""
    wanted, found = manifest.get("spec", {}), live.get("spec", {})
    return tuple(
        difference
        for entry in live["metadata"].get("managedFields") or ()
        if entry.get("manager") == MANAGER and entry.get("operation") == "Apply"
        for difference in _left((entry.get("fieldsV1") or {}).get("f:spec", {}), wanted, found, "spec")
    )


def _left(fields: Manifest, wanted: Manifest, found: Manifest, path: str) -> Iterator[Difference]:
    for key, below in fields.items():
        name = key.removeprefix(_PREFIX)
        if not key.startswith(_PREFIX) or name not in found:
            continue
        at = f"{path}.{name}"
        if name not in wanted:
            yield Difference(at, found[name], None)
        elif below and isinstance(wanted[name], dict) and isinstance(found[name], dict):
            yield from _left(below, wanted[name], found[name], at)
        else:  # a value that is applied as a whole
            yield from _left_inside(wanted[name], found[name], at)


def _left_inside(wanted: object, found: object, path: str) -> Iterator[Difference]:
    for each in differences(_without_defaults(found), wanted):
        if each.before is None:
            separator = "" if each.path.startswith("[") else "."
            yield Difference(f"{path}{separator}{each.path}", each.after, None)


def _without_defaults(value: Any) -> Any:  # noqa: ANN401 - JSON
    if isinstance(value, dict):
        return {name: _without_defaults(each) for name, each in value.items() if name not in _DEFAULTED}
    return [_without_defaults(each) for each in value] if isinstance(value, list) else value
