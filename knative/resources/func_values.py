"""The variables and labels of a func.yaml: literal values, or references to the source of a value.

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
_SINGLE_VALUE_FORMS = '"{{ env:NAME }}", "{{ secret:NAME:KEY }}" or "{{ configMap:NAME:KEY }}"'
_ALL_KEYS_FORMS = '"{{ secret:NAME }}" or "{{ configMap:NAME }}", for all keys'
_MAX_LABEL_LENGTH: Final = 63


class Source(NamedTuple):
    """The source of a value: the environment of the deploying process, or a Secret or ConfigMap of the namespace."""

    kind: str  # env, secret, configMap
    name: str
    key: str | None = None  # None: all keys of a Secret or ConfigMap; always None for env


def source_of(value: str) -> Source | None:
    """Parse `{{ env:NAME }}`, `{{ secret:NAME[:KEY] }}` or `{{ configMap:NAME[:KEY] }}`. Return None for other text."""
    if not (form := _FORM.fullmatch(value)):
        return None
    if form["variable"]:
        return Source("env", form["variable"])
    return Source(form["kind"], form["name"], form["key"])


class Env(Part, frozen=True, kw_only=True):
    """A variable, or, without a name, variables for all keys of a Secret or ConfigMap."""

    name: Text | None = None
    value: Text | None = None

    def __post_init__(self) -> None:
        """Raise `FieldFault` for a variable that `func` refuses."""
        if self.name is not None and not _ENV_NAME.fullmatch(self.name):
            raise FieldFault(
                "name", value=as_yaml(self.name), allowed="letters, digits and - . _, not starting with a digit"
            )
        if self.value is None:
            raise FieldFault("value", value="nothing", allowed='a string, which may be empty: ""')
        form = source_of(self.value)
        if self.name is None and (form is None or form.kind == "env" or form.key is not None):
            raise FieldFault("value", value=as_yaml(self.value), allowed=f"{_ALL_KEYS_FORMS}, or a name")
        if self.name is not None and self.value.startswith("{{") and not _is_single_value(form):
            raise FieldFault("value", value=as_yaml(self.value), allowed=_SINGLE_VALUE_FORMS)


def _is_single_value(form: Source | None) -> bool:
    return form is not None and (form.kind == "env" or form.key is not None)


def refuse_duplicates(field: str, envs: tuple[Env, ...]) -> None:
    """Raise `FieldFault` for a duplicate variable in the list `field`."""
    counts = Counter(each.name for each in envs if each.name is not None)
    violation = Violation.DUPLICATE_VARIABLE
    for index, each in reversed(list(enumerate(envs))):
        if each.name is not None and counts[each.name] > 1:
            value, allowed = f"a second {as_yaml(each.name)}", "each variable once"
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
        """Raise `FieldFault` for a value that Kubernetes does not allow in a label."""
        value = self.value or ""
        form = source_of(value)
        if form is None and (len(value) > _MAX_LABEL_LENGTH or not _LABEL_VALUE.fullmatch(value)):
            allowed = 'at most 63 letters, digits and - _ ., or "{{ env:NAME }}"'
            raise FieldFault("value", value=as_yaml(value), allowed=allowed)
        if form is not None and form.kind != "env":
            raise FieldFault("value", value=as_yaml(value), allowed='a string or "{{ env:NAME }}"')
