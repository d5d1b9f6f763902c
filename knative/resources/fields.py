"""The field types that every kind shares. A field's description is what an error calls allowed."""

from typing import Annotated, TypeVar

from msgspec import Meta, Struct, field

T = TypeVar("T")


class Part(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, rename="camel"):
    """A mapping of a manifest, in camelCase there. An unknown field is refused: it is most often a typing error."""


def shown_default(value: T) -> T:
    """A default that is written out when the resource is rendered; `Part` leaves other defaults out."""
    made: T = field(default_factory=lambda: value)
    return made


Name = Annotated[
    str,
    Meta(
        pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z",  # RFC 1123, as Kubernetes reads it
        max_length=63,
        description="a DNS-1123 label: at most 63 of a-z, 0-9 and -, with a letter or digit at both ends",
    ),
]
Text = Annotated[str, Meta(description="a text; quote a number or true")]
Texts = Annotated[dict[str, Text], Meta(description="a mapping of texts to texts")]


class Metadata(Part, frozen=True, kw_only=True):
    """What Kubernetes keeps about any object, as far as a user writes it."""

    name: Name
    namespace: Name | None = None
    labels: Texts = {}
    annotations: Texts = {}
