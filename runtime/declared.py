"""Settings from the resources in a function's folder: what `scalezero serve FOLDER` serves without a cluster.

In a pod the same values come rendered as environment variables, and no resource is read.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import BadSetting
from runtime.settings import MANIFEST, SOURCE, Settings, is_manifest, settings_from

if TYPE_CHECKING:
    from knative.resources.model_version import ModelVersion
    from knative.resources.read import Resources


def settings_for(folder: Path | None, *, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of the function in `folder`; the environment wins over its resources.

    Of several ModelVersions the one that `SCALEZERO_MODEL_VERSION` names serves, by its name or its version, else the
    first. Raises `BadSetting` and `BadManifest`.
    """
    if folder is None:
        return settings_from(environ)
    declares = any(map(is_manifest, folder.iterdir()))
    if not (folder / SOURCE).is_file() and not declares:
        raise BadSetting("TARGET", value=str(folder), allowed=f"a folder with a {SOURCE} or a {MANIFEST}")
    declared: dict[str, object] = {}
    if (folder / SOURCE).is_file():
        declared["function_source"] = folder / SOURCE
    if declares:
        from knative.resources.read import read_resources

        resources = read_resources(folder)
        if environ.get("SCALEZERO_MODEL_URI"):  # another artifact: what it is called and batched like stays declared
            declared |= {**_declared(resources, folder, None), "model_version": None}
        else:
            declared |= _declared(resources, folder, environ.get("SCALEZERO_MODEL_VERSION"))
            environ = {name: value for name, value in environ.items() if name != "SCALEZERO_MODEL_VERSION"}
    return settings_from(environ, **declared)


def _declared(resources: "Resources", folder: Path, wanted: str | None) -> dict[str, object]:
    version = _chosen(resources, folder, wanted)
    spec = version.spec
    settings: dict[str, object] = {
        "model_uri": spec.storage.uri(folder),
        "model_name": spec.model_name,
        "model_version": spec.version,
    }
    config = resources.config_of(spec.model_name)
    if config:
        settings |= {
            "batch_size": config.spec.batch_size,
            "max_wait": config.spec.max_wait_seconds,
            "timeout": config.spec.timeout_seconds,
        }
    return settings


def _chosen(resources: "Resources", folder: Path, wanted: str | None) -> "ModelVersion":
    versions = resources.model_versions
    for version in versions:
        if wanted in (None, version.metadata.name, version.spec.version):
            return version
    names = (
        ", ".join(f"{each.metadata.name} ({each.spec.version})" for each in versions)
        or "a ModelVersion, of which there is none"
    )
    raise BadSetting("model version", value=wanted, allowed=f"one that {folder} declares: {names}")
