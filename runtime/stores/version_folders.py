"""TensorFlow Serving's container layout: `$MODEL_BASE_PATH/$MODEL_NAME/N/model.onnx`, where N is a whole number.

    settings -> the files below the folder -> the versions that the policy selects -> settings for each version

The folder is listed once, when the process starts. Versions that are added later are not served.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from runtime.artifacts.policy import PullPolicy
from runtime.artifacts.uris import MODEL_SUFFIXES
from runtime.configuration.values import SEGMENT, is_segment
from runtime.configuration.version_policy import LATEST, VersionPolicy, select_versions, version_number
from runtime.errors import BadSetting
from runtime.settings import Settings

BASE_PATH, NAME = "/models", "model"  # the container's defaults
_MODEL: Final = "model.onnx"
_SAVED_MODELS: Final = ("saved_model.pb", "saved_model.pbtxt")
_SHOWN: Final = 8  # names in an error


def is_configured(settings: Settings) -> bool:
    """Return whether the container's variables select a model. MODEL_NAME alone can be for an author's function."""
    return settings.base_path is not None or (settings.base_name is not None and not settings.has_function)


def versions_of(settings: Settings) -> list[Settings]:
    """Return the settings of each version to serve, the highest first.

    Raises `BadSetting` with the content of the folder, and the `ModelUnavailable` errors of a store.
    """
    name = settings.base_name or NAME
    if not is_segment(name):
        raise BadSetting("MODEL_NAME", value=name, allowed=SEGMENT)
    folder = f"{(settings.base_path or BASE_PATH).rstrip('/')}/{name}"
    from runtime.artifacts.folder import list_files  # imported only if folders are listed

    policy = PullPolicy(stall_timeout=settings.stall_timeout, deadline=settings.load_timeout)
    versions = _by_version(folder, list_files(folder, policy=policy))
    wanted = select_versions(_policy(settings), versions)
    if not wanted:
        raise _bad_folder(folder, _expected_versions(folder, versions, _policy(settings)))
    if settings.model_sha256 and len(wanted) > 1:
        expected = f"no value, because {len(wanted)} versions are served"
        raise BadSetting("SCALEZERO_MODEL_SHA256", value=settings.model_sha256, allowed=expected)
    return [
        replace(
            settings,
            model_uri=f"{folder}/{versions[version][0]}/{model_file(folder, *versions[version])}",
            model_name=settings.model_name or name,
            model_version=str(version),
        )
        for version in wanted
    ]


def model_file(folder: str, version: str, files: Sequence[str]) -> str:
    """Return the model among the files of a version's folder. Raises `BadSetting` with the content of the folder."""
    models = [file for file in files if file.endswith(tuple(MODEL_SUFFIXES))]
    if _MODEL in models:
        return _MODEL
    if len(models) == 1:
        return models[0]
    path = f"{folder}/{version}"
    if models:
        raise _bad_folder(folder, f"{_MODEL}, or exactly one ONNX file, in {path}; found {_listed(models)}")
    if any(file in _SAVED_MODELS for file in files):
        convert = f"python -m tf2onnx.convert --saved-model {version} --output {version}/{_MODEL}"
        raise _bad_folder(folder, f"an ONNX file in {path}; found a SavedModel. Convert it: {convert}")
    raise _bad_folder(folder, f"{_MODEL} in {path}; found {_listed(files)}")


def _policy(settings: Settings) -> VersionPolicy:
    """Return the configured policy. A single version in SCALEZERO_MODEL_VERSION is also a policy."""
    named = version_number(settings.model_version or "")
    if settings.model_versions is not None:
        return settings.model_versions
    return LATEST if named is None else VersionPolicy(named=(named,))


def _by_version(folder: str, paths: Sequence[str]) -> Mapping[int, tuple[str, list[str]]]:
    """Return the folders of the versions, with their files. Raises `BadSetting` for two folders of one version."""
    found: dict[int, tuple[str, list[str]]] = {}
    for path in paths:
        name, slash, file = path.partition("/")
        version = version_number(name) if slash else None
        if version is None:
            continue
        first, files = found.setdefault(version, (name, []))
        if first != name:
            raise _bad_folder(folder, f"one folder of version {version}; found {first} and {name}")
        if file and "/" not in file:
            files.append(file)
    return found


def _expected_versions(folder: str, versions: Mapping[int, object], policy: VersionPolicy) -> str:
    if not versions:
        return f"folders named by version numbers, such as {folder}/1/{_MODEL}; found none"
    named, setting = " or ".join(map(str, policy.named)), "SCALEZERO_MODEL_VERSION or SCALEZERO_MODEL_VERSIONS"
    return f"version {named} in {folder} (set by {setting}); found {_listed([str(v) for v in versions])}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (", ".join(names[:_SHOWN]) or "nothing") + more


def _bad_folder(folder: str, allowed: str) -> BadSetting:
    return BadSetting("MODEL_BASE_PATH/MODEL_NAME", value=folder, allowed=allowed)
