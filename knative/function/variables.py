"""The variables of a func.yaml by purpose: settings of the runtime, access to the registry, variables of the author.

Errors have the line of the variable.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Final, Literal, NamedTuple

from knative.manifests import ClusterVariable
from knative.manifests.names import CACHE_PATH, REGISTRY_KEYS, SET_BY_KNATIVE
from knative.resources.documents import FieldPath
from knative.resources.errors import BadManifest, Violation, as_yaml
from knative.resources.faults import bad_field
from knative.resources.func_values import Source, source_of
from knative.resources.func_yaml import FunctionFile
from runtime.errors import BadSetting
from runtime.settings import PREFIX, Settings, settings_from

_KEYS: Final = frozenset({*REGISTRY_KEYS, "AWS_SESSION_TOKEN"})
_PLACES: Final = frozenset({"AWS_ENDPOINT_URL", "AWS_REGION"})
_SECRET_SETTINGS: Final = frozenset({"SCALEZERO_MANAGEMENT_KEY"})  # may come from a Secret: no manifest depends on them
_SETTINGS: Final = frozenset(each.metadata["env"] for each in fields(Settings))


class Variables(NamedTuple):
    """The variables of a func.yaml, by purpose."""

    runtime: Settings
    registry: Mapping[str, str]  # by the name of the variable; `secret` is the name of the Secret
    plain: Mapping[str, str]  # variables of the author
    cluster: tuple[ClusterVariable, ...] = ()  # variables of the author from Secrets and ConfigMaps
    declared: frozenset[str] = frozenset()  # the variables of `runtime` that the file contains


def variables_of(func_yaml: FunctionFile, environ: Mapping[str, str]) -> Variables:
    """Group the variables by purpose; `environ` resolves `{{ env:NAME }}`. Raises `BadManifest`."""
    settings: dict[str, str] = {}
    registry: dict[str, str] = {}
    plain: dict[str, str] = {}
    cluster: list[ClusterVariable] = []
    for index, env in enumerate(func_yaml.function.run.envs):
        at: FieldPath = ("run", "envs", index)
        name, value = env.name, resolve(func_yaml, at, env.value or "", environ)
        if name in SET_BY_KNATIVE:
            allowed = "a variable that Knative does not set"
            raise bad_field(func_yaml.document, (*at, "name"), value=as_yaml(name), allowed=allowed)
        if name in _KEYS | _PLACES:
            _add_registry(func_yaml, at, name, value, registry)
        elif isinstance(value, Source) and (name is None or name in _SECRET_SETTINGS or not _is_setting(name)):
            kind: Literal["secret", "configMap"] = "secret" if value.kind == "secret" else "configMap"
            cluster.append(ClusterVariable(name, kind, value.name, value.key))
        elif name is None or not isinstance(value, str):
            allowed = f'a string or "{{{{ env:NAME }}}}", because the manifests depend on {name}'
            raise bad_field(func_yaml.document, (*at, "value"), value=as_yaml(env.value), allowed=allowed)
        elif _is_setting(name):
            with errors_at(func_yaml, (*at, "value")):
                settings_from({name: value})
            settings[name] = value
        else:
            plain[name] = value
    runtime = settings_from(settings, cache_dir=Path(CACHE_PATH))
    return Variables(runtime, registry, plain, tuple(cluster), frozenset(settings))


def _is_setting(name: str) -> bool:
    return name in _SETTINGS or name.startswith(PREFIX)


def resolve(func_yaml: FunctionFile, at: FieldPath, text: str, environ: Mapping[str, str]) -> str | Source:
    """Resolve `{{ env:NAME }}` with `environ`. Return a reference to a Secret or ConfigMap as a `Source`.

    Returns any other text unchanged. Raises `BadManifest` for a variable that is not set.
    """
    source = source_of(text)
    if source is None or source.kind != "env":
        return source or text
    if source.name not in environ:
        allowed = f"a variable of the environment of this command; {source.name} is not set"
        raise bad_field(func_yaml.document, (*at, "value"), value=as_yaml(text), allowed=allowed)
    return environ[source.name]


def _add_registry(
    func_yaml: FunctionFile, at: FieldPath, name: str, value: str | Source, registry: dict[str, str]
) -> None:
    """Add a variable for access to the registry. All keys must come from one Secret, under their variables' names."""
    if isinstance(value, str) and name in _PLACES:
        registry[name] = value
        return
    secret = registry.get("secret", "NAME")
    if (
        not isinstance(value, Source)
        or value.kind != "secret"
        or value.key != name
        or secret not in {"NAME", value.name}
    ):
        got = as_yaml(func_yaml.function.run.envs[int(at[-1])].value) if isinstance(value, Source) else "a plain value"
        allowed = f'"{{{{ secret:{secret}:{name} }}}}"{" or a string" if name in _PLACES else ""}'
        raise bad_field(func_yaml.document, (*at, "value"), value=got, allowed=allowed)
    registry["secret"] = value.name


@contextmanager
def errors_at(func_yaml: FunctionFile, path: FieldPath) -> Iterator[None]:
    """Convert each `BadSetting` to the error of the field at a path of func.yaml."""
    try:
        yield
    except BadSetting as error:
        raise error_at(func_yaml, path, error) from error


def error_at(func_yaml: FunctionFile, path: FieldPath, error: BadSetting) -> BadManifest:
    """Convert the error of an option to that of the field of func.yaml that sets it."""
    value, allowed = error.details["value"], str(error.details["allowed"])
    violation = Violation.SCALE_BOUNDS if error.details["name"] == "scale" else Violation.FIELD
    return bad_field(func_yaml.document, path, value=as_yaml(value), allowed=allowed, violation=violation)
