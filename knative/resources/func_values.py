"""The variables and labels of a func.yaml: texts, or forms that say where a text comes from.

The forms and rules are those of Knative `func` (pkg/functions: ValidateEnvs, ValidateBuildEnvs, ValidateLabels).
"""

import re
from collections import Counter
from typing import Annotated, Final, NamedTuple

from msgspec import Meta

from knative.resources.errors import FieldFault, Violation, as_yaml
from knative.resources.fields import Part, Text

_FORM: Final = re.compile(
    r"\{\{\s*(?:env:(?P<variable>\w+)"
    r"|(?P<kind>secret|configMap):(?P<name>(?:\w|['-]\w)+)(?::(?P<key>[-._a-zA-Z0-9]+))?)\s*\}\}",
    re.ASCII,
)
_ENV_NAME: Final = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_LABEL_VALUE: Final = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")
_ONE = '"{{ env:NAME }}", "{{ secret:NAME:KEY }}" or "{{ configMap:NAME:KEY }}"'
_ALL = '"{{ secret:NAME }}" or "{{ configMap:NAME }}", which give all their keys'
_LONGEST_LABEL: Final = 63


class Source(NamedTuple):
    """Where a value comes from: the deployer's environment, or a Secret or ConfigMap of the namespace."""

    kind: str  # env, secret, configMap
    name: str
    key: str | None = None  # none: all keys, or there are none to name


def source_of(value: str) -> Source | None:
    """Read the forms `{{ env:NAME }}`, `{{ secret:NAME:KEY }}`, `{{ configMap:NAME:KEY }}` and without KEY; or None."""
    if not (form := _FORM.fullmatch(value)):
        return None
    if form["variable"]:
        return Source("env", form["variable"])
    return Source(form["kind"], form["name"], form["key"])


class Env(Part, frozen=True, kw_only=True):
    """A variable, or without a name all that a Secret or ConfigMap holds."""

    name: Text | None = None
    value: Text | None = None

    def __post_init__(self) -> None:
        """Raise `FieldFault` for what `func` would not take."""
        if self.name is not None and not _ENV_NAME.fullmatch(self.name):
            raise FieldFault("name", value=as_yaml(self.name), allowed="letters, digits, and - . _, no digit first")
        if self.value is None:
            raise FieldFault("value", value="nothing", allowed='a text, which may be empty: ""')
        form = source_of(self.value)
        if self.name is None and (form is None or form.kind == "env" or form.key is not None):
            raise FieldFault("value", value=as_yaml(self.value), allowed=f"{_ALL}, as there is no name")
        if self.name is not None and self.value.startswith("{{") and not _is_one(form):
            raise FieldFault("value", value=as_yaml(self.value), allowed=_ONE)


def _is_one(form: Source | None) -> bool:
    return form is not None and (form.kind == "env" or form.key is not None)


def refuse_repeated(field: str, envs: tuple[Env, ...]) -> None:
    """Raise `FieldFault`, with the field that holds the variables, where one comes twice."""
    counts = Counter(each.name for each in envs if each.name is not None)
    violation = Violation.DUPLICATE_VARIABLE
    for index, each in reversed(list(enumerate(envs))):
        if each.name is not None and counts[each.name] > 1:
            value, allowed = f"{as_yaml(each.name)} again", "each variable once"
            raise FieldFault(field, index, "name", value=value, allowed=allowed, violation=violation)


Envs = Annotated[tuple[Env, ...], Meta(description="a list of name and value")]


class Label(Part, frozen=True, kw_only=True):
    """A label of the function."""

    key: Annotated[
        str,
        Meta(
            pattern=r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?"
            r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]\Z",
            description="the key of a label, such as team or example.com/team",
        ),
    ]
    value: Text | None = None

    def __post_init__(self) -> None:
        """Raise `FieldFault` for what cannot be a label's value."""
        value = self.value or ""
        form = source_of(value)
        if form is None and (len(value) > _LONGEST_LABEL or not _LABEL_VALUE.fullmatch(value)):
            allowed = 'at most 63 letters, digits, and - _ ., or "{{ env:NAME }}"'
            raise FieldFault("value", value=as_yaml(value), allowed=allowed)
        if form is not None and form.kind != "env":
            raise FieldFault("value", value=as_yaml(value), allowed='a text or "{{ env:NAME }}"')
