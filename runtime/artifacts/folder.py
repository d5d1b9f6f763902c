"""What lies below a folder, in S3 or on this machine: the paths of its files, relative to it."""

import os
from functools import partial
from pathlib import Path
from typing import Final

from runtime.artifacts.download import Effort, persist
from runtime.artifacts.fetch import connect, current_access
from runtime.artifacts.policy import PullPolicy
from runtime.artifacts.uris import S3Place, parse_uri
from runtime.errors import InvalidModel

MOST: Final = 10_000  # entries


def below(uri: str, *, policy: PullPolicy, most: int = MOST) -> list[str]:
    """The files below the folder at the URI, sorted; those of a local one at most one folder deep.

    An empty folder of this machine is listed as `name/`. A folder that is not there has no files.
    Raises `BadSetting` for a URI that cannot be one, `InvalidModel` for more than `most` entries, and the
    `ModelUnavailable` errors of a store.
    """
    place = parse_uri(uri)
    return sorted(_local(uri, place, most) if isinstance(place, Path) else _in_s3(uri, place, policy, most))


def _local(uri: str, folder: Path, most: int) -> list[str]:
    found: list[str] = []
    try:
        for entry in _entries(folder):
            inner = [each.name for each in _entries(Path(entry.path))] if entry.is_dir() else None
            found += [entry.name] if inner is None else [f"{entry.name}/{name}" for name in inner or [""]]
            if len(found) > most:
                raise _too_many(uri, most)
    except PermissionError as error:
        raise InvalidModel(uri, f"this process may not list it: {error.strerror}") from error
    return found


def _entries(folder: Path) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _in_s3(uri: str, place: S3Place, policy: PullPolicy, most: int) -> list[str]:
    from runtime.artifacts.s3 import S3Source

    prefix = f"{place.key.rstrip('/')}/"
    store = connect(place, current_access(), policy)
    assert isinstance(store, S3Source)  # noqa: S101 - what `connect` makes
    effort = Effort(policy)
    found: list[str] = []
    token: str | None = None
    while True:
        page = persist(partial(store.keys, uri, prefix, token), effort)
        effort.progress(uri)
        found += [key.removeprefix(prefix) for key in page.keys if key.startswith(prefix) and key != prefix]
        token = page.token
        if token is None:
            return found
        if len(found) > most:
            raise _too_many(uri, most)


def _too_many(uri: str, most: int) -> InvalidModel:
    return InvalidModel(uri, f"it holds more than {most} files; expected the versions of one model")
