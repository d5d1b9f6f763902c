"""The filters of a Trigger, and what is known about whether an event passes them.

The dialects are those of the CloudEvents Subscriptions API that Knative supports: exact, prefix, suffix, all, any, not
and cesql (eventing, pkg/apis/eventing/v1).
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from knative.resources.errors import FieldFault, as_yaml
from knative.resources.fields import Part, Text

ATTRIBUTE: Final = re.compile(r"[a-z][a-z0-9]*")  # as Knative requires of a filter
_NAME_ALLOWED: Final = "a lower-case letter, then lower-case letters and digits"
Attributes = Annotated[dict[str, Text], Meta(max_length=32, description="a mapping of attributes to strings")]


def refuse_bad_names(field: str, attributes: Mapping[str, str]) -> None:
    """Raise `FieldFault` for a name that no attribute of an event can have."""
    for name in attributes:
        if not ATTRIBUTE.fullmatch(name):
            raise FieldFault(field, name, value=as_yaml(name), allowed=f"the name of an attribute: {_NAME_ALLOWED}")


class AttributesFilter(Part, frozen=True, kw_only=True):
    """Values that the attributes of an event must have."""

    attributes: Attributes = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        """Raise `FieldFault` for the name of an attribute that Knative refuses."""
        refuse_bad_names("attributes", self.attributes)


class Filter(Part, frozen=True, kw_only=True):
    """One expression: exactly one of the dialects."""

    exact: Attributes = msgspec.field(default_factory=dict)
    prefix: Attributes = msgspec.field(default_factory=dict)
    suffix: Attributes = msgspec.field(default_factory=dict)
    all: Annotated[tuple["Filter", ...], Meta(max_length=16, description="a list of filters")] = ()
    any: Annotated[tuple["Filter", ...], Meta(max_length=16, description="a list of filters")] = ()
    negated: "Filter | None" = msgspec.field(default=None, name="not")
    cesql: Annotated[str, Meta(max_length=4096, description="an expression of CloudEvents SQL")] = ""

    def __post_init__(self) -> None:
        """Raise `FieldFault` unless exactly one dialect is used, with the names of attributes that Knative accepts."""
        used = (self.exact, self.prefix, self.suffix, self.all, self.any, self.negated, self.cesql)
        if (count := sum(bool(each) for each in used)) != 1:
            allowed = "exactly one of exact, prefix, suffix, all, any, not, cesql"
            raise FieldFault(value=f"{count} dialects", allowed=allowed)
        for field in ("exact", "prefix", "suffix"):
            refuse_bad_names(field, getattr(self, field))

    def passes(self, event: Mapping[str, str]) -> bool | None:
        """Return whether an event with these attributes passes; None: its other attributes decide."""
        if self.cesql:
            return None
        if self.negated is not None:
            return _not(self.negated.passes(event))
        if self.any:
            return _not(conjunction(_not(each.passes(event)) for each in self.any))
        return conjunction((*(each.passes(event) for each in self.all), *self._comparisons(event)))

    def _comparisons(self, event: Mapping[str, str]) -> Iterator[bool | None]:
        yield from (event[name] == value if name in event else None for name, value in self.exact.items())
        yield from (event[name].startswith(value) if name in event else None for name, value in self.prefix.items())
        yield from (event[name].endswith(value) if name in event else None for name, value in self.suffix.items())


def conjunction(results: Iterable[bool | None]) -> bool | None:
    """Return whether all are true; None: it depends on those that are unknown."""
    found = set(results)
    return False if False in found else None if None in found else True


def _not(result: bool | None) -> bool | None:  # noqa: FBT001 - a logical value
    return None if result is None else not result
