"""The relative paths of the files below a folder in S3 or on this machine."""

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

from runtime.artifacts.download import RetryBudget, with_retries
from runtime.artifacts.fetch import connect, current_access
from runtime.artifacts.policy import PullPolicy
from runtime.artifacts.uris import S3Location, parse_uri
from runtime.errors import InvalidModel

MAX_FILES: Final = 10_000


def list_files(uri: str, *, policy: PullPolicy, max_files: int = MAX_FILES) -> list[str]:
    """Return the sorted paths of the files below the folder at the URI. A local folder is listed one level deep.

    An empty subfolder of a local folder is listed as `name/`. A missing folder has no files.
    Raises `BadSetting` for an invalid URI, `InvalidModel` for more than `max_files` files, and the `ModelUnavailable`
    errors of a store.
    """
    location = parse_uri(uri)
    if isinstance(location, Path):
        return sorted(_list_local(uri, location, max_files))
    return sorted(_list_s3(uri, location, policy, max_files))


def _list_local(uri: str, folder: Path, max_files: int) -> list[str]:
    files: list[str] = []
    try:
        for entry in _entries(folder):
            inner = [each.name for each in _entries(Path(entry.path))] if entry.is_dir() else None
            files += [entry.name] if inner is None else [f"{entry.name}/{name}" for name in inner or [""]]
            if len(files) > max_files:
                raise _too_many_files(uri, max_files)
    except PermissionError as error:
        raise InvalidModel(uri, f"this process cannot list it: {error.strerror}") from error
    return files


def _entries(folder: Path) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _list_s3(uri: str, location: S3Location, policy: PullPolicy, max_files: int) -> list[str]:
    prefix = f"{location.key.rstrip('/')}/"
    files: list[str] = []
    for keys in list_keys(uri, location._replace(key=prefix), policy=policy):
        if len(files) > max_files:
            raise _too_many_files(uri, max_files)
        files += [key.removeprefix(prefix) for key in keys if key != prefix]
    return files


def list_keys(uri: str, location: S3Location, *, policy: PullPolicy, deep: bool = True) -> Iterator[list[str]]:
    """Yield the keys of the bucket that begin with the location's key, page by page. The key may be empty.

    Unless `deep`, keys with a slash after that are left out.
    `uri` names the location in errors. Raises the `ModelUnavailable` errors of the store.
    """
    from runtime.artifacts.s3 import S3Source

    store = connect(location, current_access(), policy)
    assert isinstance(store, S3Source)  # noqa: S101 - the return type of `connect`
    budget = RetryBudget(policy)
    token: str | None = None
    while True:
        page = with_retries(partial(store.keys, uri, location.key, token, deep=deep), budget)
        budget.record_progress(uri)
        yield [key for key in page.keys if key.startswith(location.key)]
        token = page.token
        if token is None:
            return


def _too_many_files(uri: str, max_files: int) -> InvalidModel:
    return InvalidModel(uri, f"it contains more than {max_files} files; expected the versions of one model")
