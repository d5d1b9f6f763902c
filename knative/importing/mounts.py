"""The volumes of a container with a WebAssembly guest, as volumes of func.yaml and folders of the guest. Pure."""

from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from knative.importing.server import Omission
from knative.manifests.names import RESERVED_MOUNTS
from knative.resources import ForeignDeployment
from knative.resources.guest import Folder
from knative.resources.pod import Container
from runtime.configuration.guest_folders import GuestFolder, problem_of

_NAMES: Final = {"configMap": "name", "secret": "secretName"}  # the field with the name of the source
_NOT_IN_FUNC_YAML: Final = frozenset({"items", "optional"})
_PARTS: Final = frozenset({"subPath", "subPathExpr"})


class Mount(NamedTuple):
    """A volume that carries over."""

    volume: dict[str, Any]  # as in func.yaml
    folder: Folder


class Mounts(NamedTuple):
    """The volumes that carry over, and the others."""

    carried: tuple[Mount, ...]
    omitted: tuple[Omission, ...]


def mounts_of(container: Container, deployment: ForeignDeployment) -> Mounts:
    """Return what the container mounts. A volume that it does not mount is left out without a note."""
    volumes = {each.get("name"): each for each in _mappings(deployment.spec.template.spec.volumes)}
    carried: list[Mount] = []
    omitted: list[Omission] = []
    for mount in _mappings(container.volume_mounts):
        path = str(mount.get("mountPath"))
        found = _carried(mount, path.rstrip("/"), volumes.get(mount.get("name"), {}), carried)
        if isinstance(found, Mount):
            carried.append(found)
        else:
            omitted.append(Omission(f"the volume at {path}", found))
    return Mounts(tuple(carried), tuple(omitted))


def _carried(mount: dict[str, Any], path: str, volume: dict[str, Any], others: list[Mount]) -> Mount | str:
    """Return a volume that carries over, or why it does not."""
    declared = [GuestFolder(each.folder.path, each.folder.path) for each in others]
    if path in RESERVED_MOUNTS or problem_of([*declared, GuestFolder(path, path)]):
        return "a guest cannot have a folder there, or has one already"
    if _PARTS & mount.keys():
        return "func.yaml mounts whole volumes only: change the path that the guest reads"
    empty = volume.get("emptyDir")
    if isinstance(empty, dict):
        kept = {name: value for name, value in empty.items() if name in {"medium", "sizeLimit"}}
        return Mount({"emptyDir": kept, "path": path}, Folder(path=path, read_only=bool(mount.get("readOnly"))))
    for kind, name in _NAMES.items():
        source = volume.get(kind)
        if isinstance(source, dict) and isinstance(source.get(name), str):
            if fields := sorted(_NOT_IN_FUNC_YAML & source.keys()):
                return f"func.yaml has no field for its {' and '.join(fields)}: add it to run.volumes and guest.folders"
            return Mount({kind: source[name], "path": path}, Folder(path=path))
    return "only a ConfigMap, a Secret and an emptyDir carry over"


def _mappings(found: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401 - an untyped field
    return (each for each in (found if isinstance(found, list) else ()) if isinstance(each, dict))
