"""The field types that all kinds share. Errors show the description of a field as the expected value."""

from typing import Annotated, TypeVar

from msgspec import Meta, Struct, field

T = TypeVar("T")


class Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """A mapping in a manifest, with fields in camelCase. Unknown fields are errors, as most are typing errors."""


def rendered_default(value: T) -> T:
    """Return a field with a default that rendering writes out; `Part` omits other defaults."""
    default: T = field(default_factory=lambda: value)
    return default


Name = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z",  # RFC 1123, as Kubernetes interprets it
        max_length=63,
        description="a DNS-1123 label: at most 63 of a-z, 0-9 and -, with a letter or digit at both ends",
    ),
]
Text = Annotated[str, Meta(description="a string; quote numbers and booleans")]
TextMap = Annotated[dict[str, Text], Meta(description="a mapping of strings to strings")]


class Metadata(Part, frozen=True, kw_only=True):
    """The metadata of an object that a user may set."""

    name: Name
    namespace: Name | None = None
    labels: TextMap = {}
    annotations: TextMap = {}
