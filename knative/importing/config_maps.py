"""Which configuration a foreign server reads: the files that ConfigMaps bring into its pod."""

from collections.abc import Iterator, Mapping
from typing import Any

from knative.importing.server import Files
from knative.resources import ForeignDeployment


def files_of_pod(deployment: ForeignDeployment, config_maps: Mapping[str, Files]) -> Files:
    """Give what the pod's ConfigMaps hold, by file name; `config_maps` are all that are known, by their names.

    Two servers most often name their files alike, so that a pod which mounts one of the ConfigMaps sees no other. Where
    it mounts none of them, each of them may be what its image holds.
    """
    mounted = [_renamed(config_maps[name], paths) for name, paths in _mounted(deployment) if name in config_maps]
    return {name: text for files in mounted or config_maps.values() for name, text in files.items()}


def _mounted(deployment: ForeignDeployment) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Yield the name of each ConfigMap that is a volume, or part of one, and the paths that its keys are given."""
    for volume in _listed(deployment.spec.template.spec.volumes):
        projected = volume.get("projected")
        parts = _listed(projected.get("sources")) if isinstance(projected, dict) else ()
        for each in (volume, *parts):
            source = each.get("configMap")
            if isinstance(source, dict):
                items = {str(item.get("key")): str(item.get("path")) for item in _listed(source.get("items"))}
                yield str(source.get("name")), items


def _renamed(files: Files, paths: Mapping[str, str]) -> Files:
    """Name each file by the last part of its path; without paths, by its key."""
    return {path.rpartition("/")[2]: files[key] for key, path in paths.items() if key in files} if paths else files


def _listed(found: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - kept as it was read
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []
