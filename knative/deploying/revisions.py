"""The comparison of a deployed revision with the declared one. Pure.

A revision never changes, and a command line of any version must recognize it. So a revision with the digest of the same
declared inputs is the declared one, even if this command line would render another template. Without that digest, or
with a different one, the fields are compared, except those with which an earlier command line rendered its defaults.

The bytes of the model are compared separately: they may change in the registry while all declarations stay the same.
So may its variants, as measurements are added later, and the compiled code of its guest, as publishers on other
machines add it. A revision keeps the variants and the code that it was deployed with, and a difference only in them is
a note.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from knative.deploying import companions, guests
from knative.deploying.differences import Difference, differences
from knative.manifests import names
from knative.manifests.environment import (
    COMPANIONS,
    GUEST_PINS,
    GUEST_URI,
    MODEL_SHA256,
    MODEL_URI,
    VERSION_ID,
    default_variables,
    variable_in,
)
from knative.manifests.variants import VARIANTS, news, pinned_of
from knative.objects import Manifest

_IDENTITY: Final = frozenset({MODEL_URI, "SCALEZERO_MODEL_NAME", "SCALEZERO_MODEL_VERSION"})
_PINS: Final = frozenset({MODEL_SHA256, VARIANTS})  # what the registry has, and the files do not declare
_COMPANIONS: Final = "companions"  # in the paths of differences
_ENV: Final = f"spec.containers[{names.CONTAINER}].env"


def forbidden_changes(template: Manifest, revision: Manifest, *, newest: bool) -> tuple[Difference, ...]:
    """List the changes that need another revision.

    The newest version must be as declared. An earlier version may differ, but must not serve another model.
    """
    changed = changes(template, revision)
    if replaced := replaced_model(template, revision):
        return (replaced, *changed) if newest else ()
    return changed if newest or any(map(_is_identity, changed)) else ()


def all_changes(template: Manifest, revision: Manifest) -> tuple[Difference, ...]:
    """List the fields that differ, the model's bytes among them."""
    replaced = replaced_model(template, revision)
    return (*([replaced] if replaced else []), *changes(template, revision))


def why_forbidden(template: Manifest, revision: Manifest) -> str:
    """Return why a revision that is not as declared is not changed, and what to do instead."""
    if replaced_model(template, revision):
        return _replaced_object(template, revision)
    never = "a revision never changes; declare the change as another ModelVersion"
    if others := companions.other_versions(template, revision):
        return f"{others}; {never} of {template['metadata']['labels'][names.NAME]}, which may have the same artifact"
    return f"{never}, with its own name and version"


def why_kept(template: Manifest, revision: Manifest) -> str:
    """Return why a revision is kept that is not as declared, or lacks newer variants or code; otherwise empty."""
    if replaced_model(template, revision):
        return _replaced_object(template, revision)
    changed = "deployed before these changes of the files, and never changed" if changes(template, revision) else ""
    others = companions.other_versions(template, revision)
    newer = (_newer_variants(template, revision), guests.newer_code(template, revision))
    return "; ".join(filter(None, (changed, others, *newer)))


def _newer_variants(template: Manifest, revision: Manifest) -> str:
    """Return which other variants a new revision would pin: published, or enabled in the files, since; or nothing."""
    found = (*news(pinned_of(revision), pinned_of(template)), *companions.newer_variants(template, revision))
    if not found:
        return ""
    return (
        f"the registry and the files now give: {', '.join(found)}; a revision keeps its variants, so declare another "
        "ModelVersion of the same storage.path to use these"
    )


def changes(template: Manifest, revision: Manifest) -> tuple[Difference, ...]:
    """List the fields of the revision that differ from the template; the model's bytes are not among them."""
    digest = _annotation(template)
    if digest is not None and digest == _annotation(revision):
        return ()
    defaults = default_variables()
    found = differences(_comparable(template), _comparable(revision))
    return tuple(each for each in found if not _is_default(each, defaults))


def replaced_model(template: Manifest, revision: Manifest) -> Difference | None:
    """Compare the SHA-256 of the model, of each companion and of the guest in the registry with that of the revision.

    None: they are equal, or one of the two is unknown.
    """
    if _is_replaced(template, revision):
        deployed, now = (variable_in(each, MODEL_SHA256) for each in (revision, template))
        return Difference(f"{_ENV}[{MODEL_SHA256}]", deployed, now)
    if companion := companions.replaced(template, revision):
        current, before = companion
        return Difference(f"{_COMPANIONS}[{before.name}].sha256", before.sha256, current.sha256)
    return guests.replaced(template, revision)


def _is_replaced(template: Manifest, revision: Manifest) -> bool:
    """Whether the registry has another SHA-256 of the main model than the revision."""
    now, deployed = (variable_in(each, MODEL_SHA256) for each in (template, revision))
    return now is not None and deployed is not None and now != deployed


def _replaced_object(template: Manifest, revision: Manifest) -> str:
    companion = companions.replaced(template, revision)
    if companion is None and not _is_replaced(template, revision):
        return guests.why_replaced(revision)
    uri = companion[1].uri if companion else variable_in(revision, MODEL_URI) or ""
    versioned = VERSION_ID in uri  # it reads one version of the object, which a later upload does not replace
    effect = "this revision still serves its own version of it" if versioned else "the next pod of this revision fails"
    return (
        f"the object {uri} was replaced after the deployment, and {effect}; publish the new model under another URI "
        "and declare it as another ModelVersion, or restore the object"
    )


def _is_identity(difference: Difference) -> bool:
    return any(f"[{variable}]" in difference.path for variable in _IDENTITY)


def _annotation(manifest: Manifest) -> str | None:
    found: str | None = (manifest["metadata"].get("annotations") or {}).get(names.INPUTS)
    return found


def _comparable(manifest: Manifest) -> Manifest:
    """Leave out the digest of the inputs, what pins the models, and what a SinkBinding added.

    Each companion has an entry of its own.
    """
    metadata, spec = manifest["metadata"], manifest["spec"]
    annotations = {name: value for name, value in (metadata.get("annotations") or {}).items() if name != names.INPUTS}
    containers = [{**each, "env": [*_unpinned(each.get("env") or ())]} for each in spec["containers"]]
    return {
        "metadata": {**metadata, "annotations": annotations},
        "spec": {**spec, "containers": containers},
        _COMPANIONS: companions.declared_in(manifest),
    }


def _unpinned(env: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for each in env:
        if each["name"] in {MODEL_URI, GUEST_URI} and "value" in each:
            yield {**each, "value": each["value"].partition(VERSION_ID)[0]}
        elif each["name"] not in {*_PINS, *GUEST_PINS, COMPANIONS, *names.SET_BY_BINDING}:
            yield each


def _is_default(difference: Difference, defaults: Mapping[str, str]) -> bool:
    """Whether only one of the two has a variable, and with its default."""
    if not difference.path.startswith(_ENV) or None not in (difference.before, difference.after):
        return False
    variable: Any = difference.before or difference.after
    return isinstance(variable, dict) and defaults.get(variable["name"]) == variable.get("value")
