"""What a controller tells of a resource: conditions, in the words that all of Kubernetes shares (metav1.Condition)."""

from typing import Annotated, Literal

from msgspec import Meta

from knative.resources.fields import Part


class Condition(Part, frozen=True, kw_only=True):
    """One thing that holds of the resource, does not hold, or is not known yet."""

    type: Annotated[
        str,
        Meta(pattern=r"^[A-Za-z]([A-Za-z0-9]*[A-Za-z0-9])?\Z", max_length=316, description="what it is about: Ready"),
    ]
    status: Annotated[Literal["True", "False", "Unknown"], Meta(description="True, False or Unknown")]
    reason: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?\Z",
            max_length=1024,
            description="why, as one word for programs: ArtifactMissing",
        ),
    ]
    message: Annotated[str, Meta(max_length=32768, description="why, as a sentence for people")]
    last_transition_time: Annotated[
        str, Meta(description="when the status changed last", extra_json_schema={"format": "date-time"})
    ]
    observed_generation: Annotated[
        int, Meta(ge=0, description="the generation that this was found of", extra_json_schema={"format": "int64"})
    ] = 0


class Status(Part, frozen=True, kw_only=True):
    """What was found of the resource."""

    observed_generation: Annotated[
        int, Meta(ge=0, description="the last generation looked at", extra_json_schema={"format": "int64"})
    ] = 0
    conditions: Annotated[
        tuple[Condition, ...],
        Meta(
            description="each type of condition once",
            extra_json_schema={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
        ),
    ] = ()
