"""TorchServe's model store: a folder, or a prefix of an S3 bucket, with models to serve or to register.

    LOAD_MODELS   all             every archive and ONNX file of the store
                  none            none; a management request can register them
                  m.mar, n=n.mar  these files, the second one under the name n

The name of a model is from LOAD_MODELS, otherwise from its archive, otherwise from its file name.
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
from runtime.configuration.values import is_segment, is_version_label
from runtime.errors import BadSetting, InvalidModel, UrlNotRegistrable
from runtime.protocols.torchserve.registering import Allowed, allowed, place
from runtime.settings import Settings

if TYPE_CHECKING:
    from runtime.artifacts.archive import Manifest

SUFFIXES: Final = (*ARCHIVE_SUFFIXES, *sorted(MODEL_SUFFIXES))
ALL, NONE = "all", "none"
_MAX_MODELS: Final = 1000  # files of a store that LOAD_MODELS=all can load
_SHOWN: Final = 20  # names of files in an error
_BATCHING: Final = {  # a field of the property `models` -> the setting, and the factor from its unit to the setting's
    "batchSize": ("batch_size", None),
    "maxBatchDelay": ("max_wait", 0.001),
    "responseTimeout": ("run_timeout", 1.0),
    "startupTimeout": ("load_timeout", 1.0),
}


class Load(NamedTuple):
    """A model to serve from the start: a file of the store or a URL, and its name, if LOAD_MODELS gives one."""

    url: str
    name: str | None = None


def startup_settings(settings: Settings) -> list[Settings]:
    """Return the settings of each model to serve from the start. May block: it lists the store and reads archives.

    Raises `BadSetting` for a model that is missing or not allowed, for models with the same name without distinct
    versions, and if there is nothing to serve or to register. Raises the `ModelUnavailable` errors of a store in S3.
    """
    store = str(settings.model_store)
    locations = allowed(store, settings.register_from)
    batching = _batching(settings.store_batching)
    is_none = settings.load_models.strip().lower() == NONE
    loads = [] if is_none else parse_load_models(settings.load_models, list_models(locations, settings))
    if not loads and not settings.model_api:
        expected = f"{', '.join(SUFFIXES)} files in {store}, or SCALEZERO_MODEL_API=true to register models later"
        raise BadSetting("LOAD_MODELS", value=settings.load_models, allowed=expected)
    found = [_settings_of(load, settings, locations, batching) for load in loads]
    _check_versions(found)
    return found


def list_models(locations: Allowed, settings: Settings) -> list[str]:
    """Return the names of the models in the store, sorted. Raises as `startup_settings` does."""
    store = locations.store
    if isinstance(store, Path):
        return _list_folder(store)
    if store is None:
        return []
    from runtime.artifacts.folder import list_files

    if not store.key:
        raise BadSetting("MODEL_STORE", value=settings.model_store, allowed="s3://bucket/prefix/, not a whole bucket")
    policy = PullPolicy(stall_timeout=settings.stall_timeout, deadline=settings.load_timeout)
    files = list_files(f"s3://{store.bucket}/{store.key}", policy=policy)
    return [file for file in files if file.endswith(SUFFIXES) and "/" not in file and not file.startswith(".")]


def parse_load_models(text: str, models: Sequence[str]) -> list[Load]:
    """Parse LOAD_MODELS. Raises `BadSetting` for a model that is not in the store."""
    if text.strip().lower() == ALL:
        if len(models) > _MAX_MODELS:
            expected = f"names of models, because all loads at most {_MAX_MODELS} and the store has {len(models)}"
            raise BadSetting("LOAD_MODELS", value=text, allowed=expected)
        return [Load(name) for name in models]
    words = re.split(r"[,\s]+", re.sub(r"\s*=\s*", "=", text.strip()))
    return [_parse_load(word, models) for word in words if word]


def resolve(url: str, allowed: Allowed) -> str:
    """Return the URI of a model that may be registered from `url`. May block: it follows symbolic links.

    Raises `UrlNotRegistrable`, also if a link leads out of the folder.
    """
    found = place(url, allowed)
    if found.root is None:
        return found.uri
    try:
        path, root = Path(found.uri).resolve(strict=True), found.root.resolve(strict=True)
    except (OSError, RuntimeError):  # RuntimeError: a loop of links
        raise UrlNotRegistrable(url, "not found") from None
    if root not in path.parents:
        raise UrlNotRegistrable(url, "not found")
    return str(path)


def _list_folder(folder: Path) -> list[str]:
    try:
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise BadSetting("MODEL_STORE", value=str(folder), allowed=f"a readable folder ({reason})") from error
    return sorted(
        entry.name for entry in entries if is_unpacked(entry) or (entry.name.endswith(SUFFIXES) and entry.is_file())
    )


def _parse_load(word: str, models: Sequence[str]) -> Load:
    name, equals, file = word.partition("=")
    url = file if equals else name
    if "://" not in url:
        url = next((found for found in (url, *(url + suffix for suffix in SUFFIXES)) if found in models), "")
    if not url:
        names = ", ".join(models[:_SHOWN]) or "none"
        raise BadSetting("LOAD_MODELS", value=word, allowed=f"all, none, or files of the store; found {names}")
    return Load(url, name if equals else None)


def _settings_of(
    load: Load, settings: Settings, locations: Allowed, batching: Mapping[str, Mapping[str, Any]]
) -> Settings:
    try:
        uri = resolve(load.url, locations)
    except UrlNotRegistrable as error:
        raise BadSetting("LOAD_MODELS", value=load.url, allowed=f"a model that may be registered ({error})") from error
    manifest = _read_manifest(uri)
    name = load.name or manifest.name or model_name(parse_uri(uri))
    overrides = {"model_uri": uri, "model_name": name, "model_version": manifest.version, "model_sha256": None}
    return replace(settings, **{**overrides, **batching.get(name, {})})


def _read_manifest(uri: str) -> "Manifest":
    """Return the valid name and version in the manifest of a local archive; empty for any other file."""
    from runtime.artifacts.archive import Manifest, manifest_of

    place = parse_uri(uri)
    if not isinstance(place, Path) or not (is_unpacked(place) or is_archive(place.name)):
        return Manifest()
    try:
        name, version, _ = manifest_of(place)
    except InvalidModel:
        return Manifest()  # the error is reported when the model is loaded
    return Manifest(
        name if name and is_segment(name) else None, version if version and is_version_label(version) else None
    )


def _check_versions(found: Sequence[Settings]) -> None:
    """Refuse two models with the same name, unless both have a version and the versions differ."""
    seen: set[tuple[str | None, str | None]] = set()
    names: dict[str | None, str | None] = {}
    for each in found:
        name, version = each.model_name, each.model_version
        if name in names and ((name, version) in seen or None in {version, names[name]}):
            expected = f"different names, or archives with different versions; found two models named {name!r}"
            raise BadSetting("LOAD_MODELS", value=each.load_models, allowed=expected)
        seen.add((name, version))
        names[name] = version


def _batching(text: str | None) -> dict[str, dict[str, Any]]:
    """Parse the property `models`: settings by the name of a model, from its first version."""
    try:
        document = json.loads(text or "{}")
        return {name: _fields(next(iter(versions.values()), {})) for name, versions in document.items()}
    except (ValueError, AttributeError, TypeError) as error:
        allowed = 'JSON such as {"m": {"1.0": {"batchSize": 8, "maxBatchDelay": 50}}}, with positive integers'
        raise BadSetting("TS_MODELS", value=text, allowed=allowed) from error


def _fields(manifest: Mapping[str, Any]) -> dict[str, Any]:
    found = {}
    for field, (setting, unit) in _BATCHING.items():
        value = manifest.get(field)
        if value is None:
            continue
        if not isinstance(value, int) or not 0 < value <= _MAX_VALUES[field]:
            raise ValueError(field)
        found[setting] = value if unit is None else value * unit
    return found


_MAX_VALUES: Final = {
    "batchSize": 4096,
    "maxBatchDelay": 86_400_000,
    "responseTimeout": 86_400,
    "startupTimeout": 86_400,
}
