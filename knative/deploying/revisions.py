"""Whether a revision is the one that the files declare. Pure.

A revision never changes, and a command line of any version must recognize it. So a revision with the digest of the same
declared inputs is the declared one, whatever this command line would render. Without that digest, or with another one,
the fields are compared, except those with which an earlier command line rendered its defaults.

The bytes of the model are compared apart: they may change in the registry while all declarations stay the same.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from knative.deploying.differences import Difference, differences
from knative.manifests import names
from knative.manifests.environment import MODEL_SHA256, MODEL_URI, VERSION_ID, default_variables
from knative.objects import Manifest

_ENV: Final = f"spec.containers[{names.CONTAINER}].env"


def changes(template: Manifest, revision: Manifest) -> tuple[Difference, ...]:
    """List the fields of the revision that differ from the template; the model's bytes are not among them."""
    digest = _annotation(template)
    if digest is not None and digest == _annotation(revision):
        return ()
    defaults = default_variables()
    found = differences(_comparable(template), _comparable(revision))
    return tuple(each for each in found if not _is_default(each, defaults))


def replaced_model(template: Manifest, revision: Manifest) -> Difference | None:
    """Compare the SHA-256 of the model in the registry with that of the revision; None if equal, or one is unknown."""
    now, deployed = (_variable(each, MODEL_SHA256) for each in (template, revision))
    if now is None or deployed is None or now == deployed:
        return None
    return Difference(f"{_ENV}[{MODEL_SHA256}]", deployed, now)


def model_uri(revision: Manifest) -> str:
    """Return the URI of the revision's model, with the version of the object where the revision has one."""
    return _variable(revision, MODEL_URI) or ""


def serves_a_version(revision: Manifest) -> bool:
    """Whether the revision reads one version of the object, which a later upload does not replace."""
    return VERSION_ID in model_uri(revision)


def _annotation(manifest: Manifest) -> str | None:
    found: str | None = (manifest["metadata"].get("annotations") or {}).get(names.INPUTS)
    return found


def _comparable(manifest: Manifest) -> Manifest:
    """Leave out the digest of the inputs and what pins the model."""
    metadata, spec = manifest["metadata"], manifest["spec"]
    annotations = {name: value for name, value in (metadata.get("annotations") or {}).items() if name != names.INPUTS}
    containers = [{**each, "env": [*_unpinned(each.get("env") or ())]} for each in spec["containers"]]
    return {"metadata": {**metadata, "annotations": annotations}, "spec": {**spec, "containers": containers}}


def _unpinned(env: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    for each in env:
        if each["name"] == MODEL_URI and "value" in each:
            yield {**each, "value": each["value"].partition(VERSION_ID)[0]}
        elif each["name"] != MODEL_SHA256:
            yield each


def _is_default(difference: Difference, defaults: Mapping[str, str]) -> bool:
    """Whether only one of the two has a variable, and with its default."""
    if not difference.path.startswith(_ENV) or None not in (difference.before, difference.after):
        return False
    variable: Any = difference.before or difference.after
    return isinstance(variable, dict) and defaults.get(variable["name"]) == variable.get("value")


def _variable(manifest: Manifest, name: str) -> str | None:
    containers = (each for each in manifest["spec"]["containers"] if each.get("name") == names.CONTAINER)
    variables = (each for container in containers for each in container.get("env") or () if each["name"] == name)
    return next((each.get("value") for each in variables), None)
