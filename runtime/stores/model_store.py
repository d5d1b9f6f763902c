"""TorchServe's model store: a folder, or a prefix of an S3 bucket, whose models are served or may be registered.

    LOAD_MODELS   all             every archive and ONNX file of the store
                  none            none; a management request may register them
                  m.mar, n=n.mar  these files, the second one under the name n

A model is called as LOAD_MODELS says, else as its archive says, else as its file.
Source: pytorch/serve, docs/configuration.md (model_store, load_models, models).
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from runtime.artifacts.policy import PullPolicy
from runtime.artifacts.uris import ARCHIVE_SUFFIXES, MODEL_SUFFIXES, is_archive, is_unpacked, model_name, parse_uri
from runtime.configuration.values import is_segment, is_word
from runtime.errors import BadSetting, InvalidModel, UrlNotRegistrable
from runtime.protocols.torchserve.registering import Allowed, allowed, place
from runtime.settings import Settings

if TYPE_CHECKING:
    from runtime.artifacts.archive import Manifest

SUFFIXES: Final = (*ARCHIVE_SUFFIXES, *sorted(MODEL_SUFFIXES))
ALL, NONE = "all", "none"
_MOST: Final = 1000  # files of a store that are looked at
_SHOWN: Final = 20  # of them in an error
_BATCHING: Final = {  # a field of the property `models` -> the setting, and what one of its units is in that one's
    "batchSize": ("batch_size", None),
    "maxBatchDelay": ("max_wait", 0.001),
    "responseTimeout": ("run_timeout", 1.0),
    "startupTimeout": ("load_timeout", 1.0),
}


class Load(NamedTuple):
    """A model that is served from the start: a file of the store or a URL, and its name, where one is given."""

    url: str
    name: str | None = None


def starts(settings: Settings) -> list[Settings]:
    """The settings of each model that is served from the start. May block: the store is listed, archives are looked at.

    Raises `BadSetting` for a model that is not there or not allowed, for versions that cannot be told apart, and where
    there is nothing to serve or to register; and the `ModelUnavailable` errors of a store in S3.
    """
    store = str(settings.model_store)
    where = allowed(store, settings.register_from)
    batching = _batching(settings.store_batching)
    nothing = settings.load_models.strip().lower() == NONE
    loads = [] if nothing else wanted(settings.load_models, models(where, settings))
    if not loads and not settings.model_api:
        expected = f"{', '.join(SUFFIXES)} files in {store}, or SCALEZERO_MODEL_API=true to register some later"
        raise BadSetting("LOAD_MODELS", value=settings.load_models, allowed=expected)
    found = [_start(load, settings, where, batching) for load in loads]
    _check_versions(found)
    return found


def models(where: Allowed, settings: Settings) -> list[str]:
    """The names of the models in the store, sorted. Raises as `starts` does."""
    store = where.store
    if isinstance(store, Path):
        return _in_folder(store)
    if store is None:
        return []
    from runtime.artifacts.folder import below

    if not store.key:
        raise BadSetting("MODEL_STORE", value=settings.model_store, allowed="s3://bucket/prefix/, not a whole bucket")
    policy = PullPolicy(stall_timeout=settings.stall_timeout, deadline=settings.load_timeout)
    files = below(f"s3://{store.bucket}/{store.key}", policy=policy)
    return [file for file in files if file.endswith(SUFFIXES) and "/" not in file and not file.startswith(".")]


def wanted(text: str, models: Sequence[str]) -> list[Load]:
    """Read LOAD_MODELS. Raises `BadSetting` for a model that the store does not hold."""
    if text.strip().lower() == ALL:
        if len(models) > _MOST:
            raise BadSetting("LOAD_MODELS", value=text, allowed=f"names, as the store holds more than {_MOST} models")
        return [Load(name) for name in models]
    words = re.split(r"[,\s]+", re.sub(r"\s*=\s*", "=", text.strip()))
    return [_load(word, models) for word in words if word]


def resolved(url: str, allowed: Allowed) -> str:
    """The URI of a model that may be registered from `url`. May block: links are followed.

    Raises `UrlNotRegistrable`, also where a link leads out of the folder.
    """
    found = place(url, allowed)
    if found.root is None:
        return found.uri
    try:
        path, root = Path(found.uri).resolve(strict=True), found.root.resolve(strict=True)
    except (OSError, RuntimeError):  # RuntimeError: a link that leads to itself
        raise UrlNotRegistrable(url, "not found") from None
    if root not in path.parents:
        raise UrlNotRegistrable(url, "not found")
    return str(path)


def _in_folder(folder: Path) -> list[str]:
    try:
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise BadSetting("MODEL_STORE", value=str(folder), allowed=f"a folder that can be read ({reason})") from error
    return sorted(
        entry.name for entry in entries if is_unpacked(entry) or (entry.name.endswith(SUFFIXES) and entry.is_file())
    )


def _load(word: str, models: Sequence[str]) -> Load:
    name, equals, file = word.partition("=")
    url = file if equals else name
    if "://" not in url:
        url = next((found for found in (url, *(url + suffix for suffix in SUFFIXES)) if found in models), "")
    if not url:
        held = ", ".join(models[:_SHOWN]) or "none"
        raise BadSetting("LOAD_MODELS", value=word, allowed=f"all, none, or files of the store, which holds {held}")
    return Load(url, name if equals else None)


def _start(load: Load, settings: Settings, where: Allowed, batching: Mapping[str, Mapping[str, Any]]) -> Settings:
    try:
        uri = resolved(load.url, where)
    except UrlNotRegistrable as error:
        raise BadSetting("LOAD_MODELS", value=load.url, allowed=f"a model that may be loaded ({error})") from error
    said = _said(uri)
    name = load.name or said.name or model_name(parse_uri(uri))
    own = {"model_uri": uri, "model_name": name, "model_version": said.version, "model_sha256": None}
    return replace(settings, **{**own, **batching.get(name, {})})


def _said(uri: str) -> "Manifest":
    """What a local archive says of its model, as far as it can be used; nothing where it is none or cannot be read."""
    from runtime.artifacts.archive import Manifest, manifest_of

    place = parse_uri(uri)
    if not isinstance(place, Path) or not (is_unpacked(place) or is_archive(place.name)):
        return Manifest()
    try:
        name, version, _ = manifest_of(place)
    except InvalidModel:
        return Manifest()  # loading it tells why
    return Manifest(name if name and is_segment(name) else None, version if version and is_word(version) else None)


def _check_versions(found: Sequence[Settings]) -> None:
    """Refuse two models of one name whose versions are not both known and different."""
    seen: set[tuple[str | None, str | None]] = set()
    names: dict[str | None, str | None] = {}
    for each in found:
        name, version = each.model_name, each.model_version
        if name in names and ((name, version) in seen or None in {version, names[name]}):
            expected = f"models with names of their own, or archives that tell their versions: two are called {name!r}"
            raise BadSetting("LOAD_MODELS", value=each.load_models, allowed=expected)
        seen.add((name, version))
        names[name] = version


def _batching(text: str | None) -> dict[str, dict[str, Any]]:
    """Read the property `models`: the settings by a model's name, those of its first version."""
    try:
        document = json.loads(text or "{}")
        return {name: _fields(next(iter(versions.values()), {})) for name, versions in document.items()}
    except (ValueError, AttributeError, TypeError) as error:
        allowed = 'JSON such as {"m": {"1.0": {"batchSize": 8, "maxBatchDelay": 50}}}, with positive whole numbers'
        raise BadSetting("TS_MODELS", value=text, allowed=allowed) from error


def _fields(said: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for field, (setting, unit) in _BATCHING.items():
        value = said.get(field)
        if value is None:
            continue
        if not isinstance(value, int) or not 0 < value <= _LARGEST[field]:
            raise ValueError(field)
        found[setting] = value if unit is None else value * unit
    return found


_LARGEST: Final = {"batchSize": 4096, "maxBatchDelay": 86_400_000, "responseTimeout": 86_400, "startupTimeout": 86_400}
