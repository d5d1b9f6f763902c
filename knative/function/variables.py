"""The variables of a func.yaml by their purpose: runtime settings, access to the registry, the author's own.

Errors name the line of the variable.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Final, Literal, NamedTuple

from knative.manifests import ClusterVariable
from knative.manifests.names import CACHE_PATH, GIVEN_BY_KNATIVE
from knative.resources.documents import FieldPath
from knative.resources.errors import BadManifest, as_yaml
from knative.resources.faults import bad_field
from knative.resources.func_values import Source, source_of
from knative.resources.func_yaml import FunctionFile
from runtime.errors import BadSetting
from runtime.settings import PREFIX, Settings, settings_from

_KEYS: Final = frozenset({"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"})
_PLACES: Final = frozenset({"AWS_ENDPOINT_URL", "AWS_REGION"})
_SECRET_SETTINGS: Final = frozenset({"SCALEZERO_MANAGEMENT_KEY"})  # nothing is derived from them
_SETTINGS: Final = frozenset(each.metadata["env"] for each in fields(Settings))


class Variables(NamedTuple):
    """What the variables of a func.yaml are for."""

    runtime: Settings
    registry: Mapping[str, str]  # by the variable's name; `secret` names the Secret
    plain: Mapping[str, str]  # the author's own
    cluster: tuple[ClusterVariable, ...] = ()  # the author's own, from Secrets and ConfigMaps
    declared: frozenset[str] = frozenset()  # the variables of `runtime` that the file contains


def variables_of(written: FunctionFile, environ: Mapping[str, str]) -> Variables:
    """Sort the variables; `environ` gives what `{{ env:NAME }}` names. Raises `BadManifest`."""
    settings: dict[str, str] = {}
    registry: dict[str, str] = {}
    plain: dict[str, str] = {}
    cluster: list[ClusterVariable] = []
    for index, env in enumerate(written.function.run.envs):
        at: FieldPath = ("run", "envs", index)
        name, value = env.name, resolved(written, at, env.value or "", environ)
        if name in GIVEN_BY_KNATIVE:
            allowed = "no variable that Knative sets itself"
            raise bad_field(written.document, (*at, "name"), value=as_yaml(name), allowed=allowed)
        if name in _KEYS | _PLACES:
            _add_registry(written, at, name, value, registry)
        elif isinstance(value, Source) and (name is None or name in _SECRET_SETTINGS or not _is_setting(name)):
            kind: Literal["secret", "configMap"] = "secret" if value.kind == "secret" else "configMap"
            cluster.append(ClusterVariable(name, kind, value.name, value.key))
        elif name is None or not isinstance(value, str):
            allowed = f'a text or "{{{{ env:NAME }}}}", as timeouts and concurrency depend on {name}'
            raise bad_field(written.document, (*at, "value"), value=as_yaml(env.value), allowed=allowed)
        elif _is_setting(name):
            with told_at(written, (*at, "value")):
                settings_from({name: value})
            settings[name] = value
        else:
            plain[name] = value
    runtime = settings_from(settings, cache_dir=Path(CACHE_PATH))
    return Variables(runtime, registry, plain, tuple(cluster), frozenset(settings))


def _is_setting(name: str) -> bool:
    return name in _SETTINGS or name.startswith(PREFIX)


def resolved(written: FunctionFile, at: FieldPath, text: str, environ: Mapping[str, str]) -> str | Source:
    """Return the text, or what `{{ env:NAME }}` names in `environ`; a Secret's or ConfigMap's value as its `Source`.

    Raises `BadManifest` for a variable that is not set.
    """
    source = source_of(text)
    if source is None or source.kind != "env":
        return source or text
    if source.name not in environ:
        allowed = f"a variable that is set here; {source.name} is not"
        raise bad_field(written.document, (*at, "value"), value=as_yaml(text), allowed=allowed)
    return environ[source.name]


def _add_registry(
    written: FunctionFile, at: FieldPath, name: str, value: str | Source, registry: dict[str, str]
) -> None:
    """Note how pods reach the registry: all keys come from one Secret, under the names of their variables."""
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
        shown = (
            as_yaml(written.function.run.envs[int(at[-1])].value) if isinstance(value, Source) else "the value itself"
        )
        allowed = f'"{{{{ secret:{secret}:{name} }}}}"{" or a text" if name in _PLACES else ""}'
        raise bad_field(written.document, (*at, "value"), value=shown, allowed=allowed)
    registry["secret"] = value.name


@contextmanager
def told_at(written: FunctionFile, path: FieldPath) -> Iterator[None]:
    """Tell what is wrong with a value at its place in func.yaml."""
    try:
        yield
    except BadSetting as error:
        raise moved(written, path, error) from error


def moved(written: FunctionFile, path: FieldPath, error: BadSetting) -> BadManifest:
    """Tell what is wrong with an option as what is wrong with a field of func.yaml."""
    value, allowed = error.details["value"], str(error.details["allowed"])
    return bad_field(written.document, path, value=as_yaml(value), allowed=allowed)
