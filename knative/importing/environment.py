"""The environment of a container, as the variables of a func.yaml.

A variable keeps its name and its value. Variables that are not converted are reported with the reason: references to
Secrets or ConfigMaps, except the registry's keys, and names that are reserved for Knative or the runtime.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from knative.importing.command_line import expand, unresolved
from knative.importing.server import Omission
from knative.manifests.names import REGISTRY_KEYS, SET_BY_KNATIVE
from knative.resources.pod import Container, EnvVar
from runtime.settings import PREFIX

_NAME: Final = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_TORCHSERVE_FILE: Final = "TS_CONFIG_FILE"
_RUNTIME: Final = re.compile(rf"{PREFIX}.*|FUNCTION_SOURCE|FUNCTION_TARGET")


class Environment(NamedTuple):
    """The variables of func.yaml, and the omitted ones."""

    plain: dict[str, str]
    secret: str | None  # the Secret with the registry's keys; None: the Deployment has none
    omitted: tuple[Omission, ...]


def environment(container: Container) -> Environment:
    """Convert the environment of the container. References to earlier variables are replaced by their values."""
    secret = _registry(container)
    plain: dict[str, str] = {}
    omitted: list[Omission] = []
    for each in container.env:
        if why := _reason(each, plain, secret):
            omitted.append(Omission(f"env {each.name}", why))
        elif each.name not in REGISTRY_KEYS:
            plain[each.name] = expand(each.value or "", plain)
    return Environment(plain, secret, (*omitted, *_env_from(container)))


def _reason(each: EnvVar, known: Mapping[str, str], secret: str | None) -> str | None:
    """Return why a variable is omitted, or None if it is kept."""
    value = each.value or ""
    unknown = ", ".join(unresolved(value, known))
    keys = f"both keys must come from one Secret whose keys are {' and '.join(REGISTRY_KEYS)}"
    reasons = {
        "Knative sets it": each.name in SET_BY_KNATIVE,
        "its file does not exist in the pods, so the runtime would not start": each.name == _TORCHSERVE_FILE,
        "it is a setting of the runtime: if you want to set it, add it to func.yaml": _RUNTIME.fullmatch(each.name),
        "it expires within hours: use keys that do not expire, or a role": each.name == "AWS_SESSION_TOKEN",
        keys: each.name in REGISTRY_KEYS and secret is None,
        "valueFrom is converted only for the registry's keys: add it to func.yaml, like {{ secret:NAME:KEY }}": (
            each.value_from and each.name not in REGISTRY_KEYS
        ),
        "func.yaml allows only letters, digits and - . _ in a name, not starting with a digit": not _NAME.fullmatch(
            each.name
        ),
        f"its value refers to {unknown}, which the manifest does not define: write the value into func.yaml": unknown,
        "its value starts with {{, which func.yaml interprets as a reference": value.startswith("{{"),
    }
    return next((why for why, applies in reasons.items() if applies), None)


def _registry(container: Container) -> str | None:
    """Return the Secret that contains both keys under the names of the variables, or None."""
    refs = [each.value_from.secret_key_ref for each in container.env if each.name in REGISTRY_KEYS and each.value_from]
    found = {(ref.key, ref.name) for ref in refs if ref is not None}
    names = {name for _, name in found}
    return names.pop() if {key for key, _ in found} == set(REGISTRY_KEYS) and len(names) == 1 else None


def _env_from(container: Container) -> Iterator[Omission]:
    for each in container.env_from:
        source = each.secret_ref or each.config_map_ref
        kind = "Secret" if each.secret_ref else "ConfigMap"
        what = f"envFrom {kind} {source.name if source else '?'}"
        form = "{{ secret:NAME }}" if each.secret_ref else "{{ configMap:NAME }}"
        yield Omission(what, f"not converted: add it to func.yaml, as an entry without a name and the value {form}")
