"""A foreign container's environment, as the variables of a func.yaml.

A variable keeps its name and its value. What cannot be kept is told: func.yaml takes values from a Secret for the
registry's keys alone, and some names belong to Knative or to the runtime.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from knative.importing.command_line import expanded, unknown_in
from knative.importing.server import Left
from knative.manifests.names import GIVEN_BY_KNATIVE
from knative.resources.pod import Container, EnvVar
from runtime.settings import PREFIX

_NAME: Final = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
KEYS: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_RUNTIME: Final = re.compile(rf"{PREFIX}.*|FUNCTION_SOURCE|FUNCTION_TARGET")


class Environment(NamedTuple):
    """What goes into func.yaml, and what does not."""

    plain: dict[str, str]
    secret: str | None  # the Secret with the registry's keys; none: the Deployment names none
    left: tuple[Left, ...]


def environment(container: Container) -> Environment:
    """Read the container's environment, a value that refers to variables before it written out."""
    secret = _registry(container)
    plain: dict[str, str] = {}
    left: list[Left] = []
    for each in container.env:
        if why := _obstacle(each, plain, secret):
            left.append(Left(f"env {each.name}", why))
        elif each.name not in KEYS:
            plain[each.name] = expanded(each.value or "", plain)
    return Environment(plain, secret, (*left, *_dozens(container)))


def _obstacle(each: EnvVar, known: Mapping[str, str], secret: str | None) -> str | None:
    """Say why a variable is left out, or None where it is kept."""
    value = each.value or ""
    unknown = ", ".join(unknown_in(value, known))
    keys = f"the keys come from one Secret, each under its own name: {' and '.join(KEYS)}"
    obstacles = {
        "Knative sets it itself": each.name in GIVEN_BY_KNATIVE,
        "the runtime reads it: set it in func.yaml, if it is meant": _RUNTIME.fullmatch(each.name),
        "it ends within hours: give the pods keys that stay, or a role": each.name == "AWS_SESSION_TOKEN",
        keys: each.name in KEYS and secret is None,
        "func.yaml takes a value from elsewhere for the registry's keys only": each.value_from
        and each.name not in KEYS,
        "func.yaml takes letters, digits, and - . _ for a name, no digit first": not _NAME.fullmatch(each.name),
        f"its value refers to {unknown}, which is not known here: write it out": unknown,
        "func.yaml would take its value for a form": value.startswith("{{"),
    }
    return next((why for why, holds in obstacles.items() if holds), None)


def _registry(container: Container) -> str | None:
    """Find the one Secret that holds both keys under their own names."""
    refs = [each.value_from.secret_key_ref for each in container.env if each.name in KEYS and each.value_from]
    found = {(ref.key, ref.name) for ref in refs if ref is not None}
    names = {name for _, name in found}
    return names.pop() if {key for key, _ in found} == set(KEYS) and len(names) == 1 else None


def _dozens(container: Container) -> Iterator[Left]:
    for each in container.env_from:
        source = each.secret_ref or each.config_map_ref
        kind = "Secret" if each.secret_ref else "ConfigMap"
        yield Left(
            f"envFrom {kind} {source.name if source else '?'}", "func.yaml takes single variables: write them out"
        )
