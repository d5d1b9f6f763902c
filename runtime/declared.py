"""Settings from the resources in a function's folder, for `scalezero serve FOLDER` without a cluster.

In a pod, the same values are environment variables, and no resource is read.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from runtime.configuration.companions import Companion, Companions
from runtime.errors import BadSetting
from runtime.settings import GUEST, MANIFEST, SOURCE, Settings, is_manifest, settings_from

if TYPE_CHECKING:
    from knative.resources.events import Events
    from knative.resources.model_version import ModelVersion
    from knative.resources.read import Resources

_OF_CLUSTER: Final = frozenset({"prediction_log"})


def settings_for(folder: Path | None, *, environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings of the function in `folder`; the environment overrides its resources.

    If there are several ModelVersions of the main model, `SCALEZERO_MODEL_VERSION` selects one by its name or its
    version; without it, the first is served. Companions are served in their newest version. Raises `BadSetting` and
    `BadManifest`.
    """
    if folder is None:
        return settings_from(environ)
    declares = any(map(is_manifest, folder.iterdir()))
    declared = _function(folder)
    if not declared and not declares:
        raise BadSetting("TARGET", value=str(folder), allowed=f"a folder with a {SOURCE}, a {GUEST} or a {MANIFEST}")
    if declares:
        resources = _resources(folder)
        if environ.get("SCALEZERO_MODEL_URI"):  # another artifact, with the declared name and batching settings
            declared |= {**_declared(resources, folder, None), "model_version": None}
        else:
            declared |= _declared(resources, folder, environ.get("SCALEZERO_MODEL_VERSION"))
            environ = {name: value for name, value in environ.items() if name != "SCALEZERO_MODEL_VERSION"}
    return settings_from(environ, **declared)


def _function(folder: Path) -> dict[str, object]:
    """Return the setting of the folder's function, in Python or as a guest; empty: it has none."""
    source, guest = folder / SOURCE, folder / GUEST
    if source.is_file() and guest.is_file():
        raise BadSetting("TARGET", value=str(folder), allowed=f"a folder with a {SOURCE} or a {GUEST}, not with both")
    if guest.is_file():
        return {"guest_uri": str(guest)}
    return {"function_source": source} if source.is_file() else {}


def _resources(folder: Path) -> "Resources":
    """Read the resources of the folder, and which of its models is the main one if it is a function with several."""
    from knative.resources.read import read_resources

    resources = read_resources(folder)
    if len(resources.models) < 2 or not _function(folder):  # noqa: PLR2004 - one model has no companions
        return resources
    from knative.function.composition import compose
    from knative.function.configuration import func_yaml_of_folder

    found = func_yaml_of_folder(folder, resources.models)
    name = found.function.name if found else None
    return compose(resources, models=resources.models, function=name, folder=folder)


def _declared(resources: "Resources", folder: Path, wanted: str | None) -> dict[str, object]:
    version = _chosen(resources, folder, wanted)
    spec = version.spec
    settings: dict[str, object] = {
        "model_uri": spec.storage.uri(folder),
        "model_name": spec.model_name,
        "model_version": spec.version,
        "companions": Companions(_companion(each, resources, folder) for each in resources.companions),
    }
    events = resources.events_of(spec.model_name)
    settings |= _of_guest(resources, spec.model_name, folder)
    return settings | _batching(resources, spec.model_name) | (_of_events(events) if events else {})


def _of_guest(resources: "Resources", model: str, folder: Path) -> dict[str, object]:
    """Return the settings of the guest; the file in the folder, if there is one, comes before the published one."""
    config = resources.config_of(model)
    guest = config and config.spec.guest
    return {**(guest.settings() if guest else {}), **_function(folder)}


def _of_events(events: "Events") -> dict[str, object]:
    """Return the settings of the events. A log of predictions needs the sink that only a cluster sets."""
    return {name: value for name, value in events.settings().items() if name not in _OF_CLUSTER}


def _companion(version: "ModelVersion", resources: "Resources", folder: Path) -> Companion:
    spec = version.spec
    return Companion(spec.model_name, spec.version, spec.storage.uri(folder), **_batching(resources, spec.model_name))


def _batching(resources: "Resources", model: str) -> dict[str, Any]:
    config = resources.config_of(model)
    if config is None:
        return {}
    return {
        "batch_size": config.spec.batch_size,
        "max_wait": config.spec.max_wait_seconds,
        "timeout": config.spec.timeout_seconds,
    }


def _chosen(resources: "Resources", folder: Path, wanted: str | None) -> "ModelVersion":
    versions = [each for each in resources.model_versions if each.spec.model_name in resources.services]
    for version in versions:
        if wanted in (None, version.metadata.name, version.spec.version):
            return version
    names = ", ".join(f"{each.metadata.name} ({each.spec.version})" for each in versions)
    allowed = f"one of the ModelVersions in {folder}: {names}" if names else f"a ModelVersion in {folder}; it has none"
    raise BadSetting("model version", value=wanted, allowed=allowed)
