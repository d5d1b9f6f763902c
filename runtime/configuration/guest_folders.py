"""The folders of a guest, as JSON in SCALEZERO_GUEST_FOLDERS. Pure.

    folders of model.yaml ──► GuestFolder ... ──► render_folders ──► the pod's environment ──► parse_folders

    [{"path": "/etc/labels"}, {"path": "/data", "guestPath": "/work", "readOnly": false}]

Unknown fields are refused: an older image must not ignore a restriction that a newer command line renders.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

ALLOWED: Final = 'a JSON list of folders, such as [{"path": "/etc/labels"}], with guestPath and readOnly if needed'
# What belongs to the kernel, to the pod, and to the runtime: a guest that writes to the cache would replace models.
PROTECTED: Final = ("/dev", "/proc", "/run/secrets", "/sys", "/var/cache/scalezero", "/var/run/secrets")
_ABSOLUTE: Final = "an absolute path without . and .., // or control characters, and without a slash at its end"
_APART: Final = f"a folder that neither contains nor is below one of {', '.join(PROTECTED)}"
_PATH: Final = re.compile(r"(/(?!\.{1,2}(/|\Z))[^/\x00-\x1f\x7f]+)+")
_MAX_LENGTH: Final = 1024  # characters of a path
_FIELDS: Final = frozenset({"path", "guestPath", "readOnly"})


class GuestFolder(NamedTuple):
    """A folder of the pod that a guest sees."""

    path: str  # in the pod, or on this machine
    guest_path: str  # where the guest sees it
    read_only: bool = True


class GuestFolders(tuple[GuestFolder, ...]):
    """The folders of a guest. Their text is that of the setting."""

    __slots__ = ()

    def __str__(self) -> str:
        """Return the JSON."""
        return render_folders(self)


class FolderProblem(NamedTuple):
    """What is wrong with a folder: its position, the field, its value, and what is allowed."""

    position: int
    field: str
    value: str
    allowed: str


def problem_of(folders: Sequence[GuestFolder]) -> FolderProblem | None:
    """Return the first problem of the declared folders; None: there is none."""
    for index, each in enumerate(folders):
        if not _is_absolute(each.path):
            return FolderProblem(index, "path", each.path, _ABSOLUTE)
        if conflict(each.path, PROTECTED):
            return FolderProblem(index, "path", each.path, _APART)
        if each.guest_path != "/" and not _is_absolute(each.guest_path):
            return FolderProblem(index, "guestPath", each.guest_path, f"/, or {_ABSOLUTE}")
        if any(each.guest_path == other.guest_path for other in folders[:index]):
            return FolderProblem(index, "guestPath", each.guest_path, "each path of the guest once")
    return None


def conflict(path: str, protected: Iterable[str]) -> str | None:
    """Return the protected folder that contains this one or is in it; None: there is none. Both are normalised."""
    own = f"{path.rstrip('/')}/"
    others = ((each, f"{each.rstrip('/')}/") for each in protected)
    return next((each for each, other in others if own.startswith(other) or other.startswith(own)), None)


def render_folders(folders: Iterable[GuestFolder]) -> str:
    """Return the JSON, without spaces and without defaults."""
    import json

    return json.dumps([_document(each) for each in folders], separators=(",", ":"), ensure_ascii=True)


def parse_folders(text: str) -> GuestFolders:
    """Parse the JSON. Raises `ValueError` with the place of the field, its value and what is expected."""
    from runtime.variants.json_fields import list_of, loads, wrong

    folders = GuestFolders(list_of(_folder)(loads(text), ""))
    if problem := problem_of(folders):
        raise wrong(f"[{problem.position}].{problem.field}", problem.value, problem.allowed)
    return folders


def _is_absolute(path: str) -> bool:
    return len(path) <= _MAX_LENGTH and _PATH.fullmatch(path) is not None


def _document(folder: GuestFolder) -> dict[str, object]:
    document: dict[str, object] = {"path": folder.path}
    if folder.guest_path != folder.path:
        document["guestPath"] = folder.guest_path
    if not folder.read_only:
        document["readOnly"] = False
    return document


def _folder(data: Any, at: str) -> GuestFolder:  # noqa: ANN401 - a JSON value
    from runtime.variants.json_fields import field, text, wrong

    path = field(data, at, "path", text)
    if unknown := sorted(data.keys() - _FIELDS):
        raise wrong(f"{at}.{unknown[0]}", data[unknown[0]], "only path, guestPath and readOnly")
    return GuestFolder(
        path, field(data, at, "guestPath", text, default=path), field(data, at, "readOnly", _flag, default=True)
    )


def _flag(value: Any, at: str) -> bool:  # noqa: ANN401 - a JSON value
    from runtime.variants.json_fields import wrong

    if not isinstance(value, bool):
        raise wrong(at, value, "true or false")
    return value
