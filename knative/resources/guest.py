"""The `guest:` part of an InferenceConfig: the WebAssembly guest that is the function, in place of a main.py."""

import re
from typing import Annotated, Final

from msgspec import Meta

from knative.resources.errors import FieldFault, as_yaml
from knative.resources.fields import Part
from runtime.configuration.guest_folders import GuestFolder, GuestFolders, problem_of

_UNITS: Final = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30}
_MEMORY: Final = re.compile(r"([1-9][0-9]{0,9})(Ki|Mi|Gi)")
_MIN_MEMORY, _MAX_MEMORY = 2**16, 2**32  # bytes: one page, and what 32-bit addresses reach


class Folder(Part, frozen=True, kw_only=True):
    """A folder of the pod that the guest sees."""

    path: Annotated[str, Meta(description="an absolute path in the pod, such as that of a volume")]
    guest_path: Annotated[str, Meta(description="an absolute path in the guest")] | None = None  # None: the same path
    read_only: Annotated[bool, Meta(description="true or false")] = True


class Guest(Part, frozen=True, kw_only=True):
    """Where the guest is published, and what an instance of it may use. It has no files and no network by default."""

    path: Annotated[
        str,
        Meta(
            pattern=r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]/[^\s/?][^\s?]*[^\s/?]\Z",
            max_length=1024,
            description="s3://bucket/key, where publish puts the folder's main.wasm",
        ),
    ]
    memory: Annotated[str, Meta(description='an amount such as "256Mi"')] | None = None  # None: the runtime's default

    folders: Annotated[tuple[Folder, ...], Meta(description="a list of folders, each with a path")] = ()
    network: Annotated[bool, Meta(description="true or false")] = False

    def __post_init__(self) -> None:
        """Raise `FieldFault` for an amount of memory, and for a folder, that no guest can have."""
        if self.memory is not None and not _MIN_MEMORY <= _bytes(self.memory) <= _MAX_MEMORY:
            raise FieldFault("memory", value=as_yaml(self.memory), allowed='an amount from "64Ki" to "4Gi"')

        if problem := problem_of(self._folders):
            place = ("folders", problem.position, problem.field)
            raise FieldFault(*place, value=as_yaml(problem.value), allowed=problem.allowed)

    def settings(self) -> dict[str, object]:
        """Return the settings of the runtime that are declared, by the names of their fields."""
        return {
            "guest_uri": self.path,
            **({} if self.memory is None else {"guest_memory": _bytes(self.memory)}),
            **({"guest_folders": self._folders} if self.folders else {}),
            **({"guest_network": True} if self.network else {}),
        }

    @property
    def _folders(self) -> GuestFolders:
        folders = (GuestFolder(each.path, each.guest_path or each.path, each.read_only) for each in self.folders)
        return GuestFolders(folders)


def _bytes(memory: str) -> int:
    """Return an amount in bytes; 0: it is none."""
    found = _MEMORY.fullmatch(memory)
    return int(found[1]) * _UNITS[found[2]] if found else 0
