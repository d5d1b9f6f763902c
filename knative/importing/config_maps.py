"""The configuration files of a server: the files that ConfigMaps mount into its pod."""

from collections.abc import Iterator, Mapping
from typing import Any

from knative.importing.server import Files
from knative.resources import ForeignDeployment


def files_of_pod(deployment: ForeignDeployment, config_maps: Mapping[str, Files]) -> Files:
    """Return the files of the pod's ConfigMaps, by file name. `config_maps` are all known ConfigMaps, by name.

    Files of several servers often have the same names, so only the ConfigMaps that the pod mounts are used. If it
    mounts none of them, all are used, because its image may contain the same files.
    """
    mounted = [_renamed(config_maps[name], paths) for name, paths in _mounted(deployment) if name in config_maps]
    return {name: text for files in mounted or config_maps.values() for name, text in files.items()}


def _mounted(deployment: ForeignDeployment) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield the name of each ConfigMap in the volumes of the pod, with the path of each key that has one."""
    for volume in _listed(deployment.spec.template.spec.volumes):
        projected = volume.get("projected")
        parts = _listed(projected.get("sources")) if isinstance(projected, dict) else ()
        for each in (volume, *parts):
            source = each.get("configMap")
            if isinstance(source, dict):
                items = {str(item.get("key")): str(item.get("path")) for item in _listed(source.get("items"))}
                yield str(source.get("name")), items


def _renamed(files: Files, paths: Mapping[str, str]) -> Files:
    """Return the files by the last part of their paths, or by their keys if `paths` is empty."""
    return {path.rpartition("/")[2]: files[key] for key, path in paths.items() if key in files} if paths else files


def _listed(found: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - an untyped field
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
