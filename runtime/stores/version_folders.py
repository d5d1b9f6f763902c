"""The container contract of TensorFlow Serving: `$MODEL_BASE_PATH/$MODEL_NAME/N/model.onnx`, N a whole number.

    settings -> the files below the folder -> the versions that the policy chooses -> settings for each of them

The folder is looked at once, when the process starts: what is put there later is not served.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from runtime.artifacts.policy import PullPolicy
from runtime.artifacts.uris import MODEL_SUFFIXES
from runtime.configuration.values import SEGMENT, is_segment
from runtime.configuration.version_policy import LATEST, VersionPolicy, chosen, version_number
from runtime.errors import BadSetting
from runtime.settings import Settings

BASE_PATH, NAME = "/models", "model"  # what the container sets where its user does not
_MODEL: Final = "model.onnx"
_SAVED_MODELS: Final = ("saved_model.pb", "saved_model.pbtxt")
_SHOWN: Final = 8  # names in an error


def is_asked_for(settings: Settings) -> bool:
    """Whether the container's variables say what to serve; MODEL_NAME alone may be meant for an author's function."""
    return settings.base_path is not None or (settings.base_name is not None and settings.function_source is None)


def versions_of(settings: Settings) -> list[Settings]:
    """The settings of each version that is to be served, the highest first.

    Raises `BadSetting`, which says what the folder holds, and the `ModelUnavailable` errors of a store.
    """
    name = settings.base_name or NAME
    if not is_segment(name):
        raise BadSetting("MODEL_NAME", value=name, allowed=SEGMENT)
    folder = f"{(settings.base_path or BASE_PATH).rstrip('/')}/{name}"
    from runtime.artifacts.folder import below  # a start that names its model lists no folder

    policy = PullPolicy(stall_timeout=settings.stall_timeout, deadline=settings.load_timeout)
    versions = _by_version(folder, below(folder, policy=policy))
    wanted = chosen(_policy(settings), versions)
    if not wanted:
        raise _bad(folder, _found(folder, versions, _policy(settings)))
    if settings.model_sha256 and len(wanted) > 1:
        raise BadSetting("SCALEZERO_MODEL_SHA256", value=settings.model_sha256, allowed="nothing for several versions")
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
    """The model among the files of a version's folder. Raises `BadSetting`, which says what there is instead."""
    models = [file for file in files if file.endswith(tuple(MODEL_SUFFIXES))]
    if _MODEL in models:
        return _MODEL
    if len(models) == 1:
        return models[0]
    place = f"{folder}/{version}"
    if models:
        raise _bad(folder, f"{_MODEL}, or one ONNX file alone, in {place}; found {_listed(models)}")
    if any(file in _SAVED_MODELS for file in files):
        convert = f"python -m tf2onnx.convert --saved-model {version} --output {version}/{_MODEL}"
        raise _bad(folder, f"an ONNX file in {place}; found a SavedModel. Convert it: {convert}")
    raise _bad(folder, f"{_MODEL} in {place}; found {_listed(files)}")


def _policy(settings: Settings) -> VersionPolicy:
    """The policy that is set; a version that is named alone is one, too."""
    named = version_number(settings.model_version or "")
    if settings.model_versions is not None:
        return settings.model_versions
    return LATEST if named is None else VersionPolicy(named=(named,))


def _by_version(folder: str, paths: Sequence[str]) -> Mapping[int, tuple[str, list[str]]]:
    """The folders of the versions, with their files. Raises `BadSetting` where two hold one version."""
    found: dict[int, tuple[str, list[str]]] = {}
    for path in paths:
        name, slash, file = path.partition("/")
        version = version_number(name) if slash else None
        if version is None:
            continue
        first, files = found.setdefault(version, (name, []))
        if first != name:
            raise _bad(folder, f"one folder of version {version}; found {first} and {name}")
        if file and "/" not in file:
            files.append(file)
    return found


def _found(folder: str, versions: Mapping[int, object], policy: VersionPolicy) -> str:
    if not versions:
        return f"folders named by whole numbers, such as {folder}/1/{_MODEL}; found none"
    asked = ", ".join(map(str, policy.named))
    return f"version {asked} in {folder}, as SCALEZERO_MODEL_VERSIONS says; found {_listed([str(v) for v in versions])}"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return (", ".join(names[:_SHOWN]) or "nothing") + more


def _bad(folder: str, allowed: str) -> BadSetting:
    return BadSetting("MODEL_BASE_PATH/MODEL_NAME", value=folder, allowed=allowed)
