"""The status of a resource that a controller writes: the standard conditions of Kubernetes (metav1.Condition)."""

from typing import Annotated, Literal

from msgspec import Meta

from knative.resources.fields import Part


class Condition(Part, frozen=True, kw_only=True):
    """One observation of the resource that is true, false or unknown."""

    type: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z]([A-Za-z0-9]*[A-Za-z0-9])?\Z",
            max_length=316,
            description="the type of the condition, such as Ready",
        ),
    ]
    status: Annotated[Literal["True", "False", "Unknown"], Meta(description="True, False or Unknown")]
    reason: Annotated[
        str,
        Meta(
            pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?\Z",
            max_length=1024,
            description="the reason as one machine-readable word, such as ArtifactMissing",
        ),
    ]
    message: Annotated[str, Meta(max_length=32768, description="the reason as a human-readable sentence")]
    last_transition_time: Annotated[
        str, Meta(description="the time of the last change of the status", extra_json_schema={"format": "date-time"})
    ]
    observed_generation: Annotated[
        int,
        Meta(ge=0, description="the generation that the condition was set for", extra_json_schema={"format": "int64"}),
    ] = 0


class Status(Part, frozen=True, kw_only=True):
    """The observed state of the resource."""

    observed_generation: Annotated[
        int,
        Meta(
            ge=0, description="the last generation that the controller processed", extra_json_schema={"format": "int64"}
        ),
    ] = 0
    conditions: Annotated[
        tuple[Condition, ...],
        Meta(
            description="the conditions, at most one of each type",
            extra_json_schema={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
        ),
    ] = ()
