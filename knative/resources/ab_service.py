"""The A/B split: a Knative Service that contains only traffic between revisions.

Knative refuses this manifest as written: a Service needs a template, and cannot route to revisions of another Service.
scalezero reads it as the declaration of a split.
"""

from collections import Counter
from typing import Annotated, Literal

from msgspec import Meta

from knative.resources.errors import FieldFault, Violation, as_yaml
from knative.resources.fields import Metadata, Name, Part

_WHOLE = 100  # percent


class TrafficTarget(Part, frozen=True, kw_only=True):
    """One revision and its share of the traffic."""

    revision_name: Name
    percent: Annotated[int, Meta(ge=0, le=_WHOLE, description="a whole number from 0 to 100")]


class TrafficSpec(Part, frozen=True, kw_only=True):
    """The traffic of all revisions."""

    traffic: Annotated[
        tuple[TrafficTarget, ...],
        Meta(min_length=1, description="a list of at least one revisionName with its percent"),
    ]

    def __post_init__(self) -> None:
        """Raise `FieldFault` for a duplicate revision, or if the percents do not sum to 100."""
        counts = Counter(target.revision_name for target in self.traffic)
        for index, target in enumerate(self.traffic):
            if counts[target.revision_name] > 1:
                allowed = "each revision once"
                raise FieldFault("traffic", index, "revisionName", value=as_yaml(target.revision_name), allowed=allowed)
        total = sum(target.percent for target in self.traffic)
        if total != _WHOLE:
            value, violation = f"percents that sum to {total}", Violation.SPLIT_NOT_WHOLE
            raise FieldFault("traffic", value=value, allowed=f"a sum of {_WHOLE}", violation=violation)


class ABService(Part, frozen=True, kw_only=True):
    """The Service of an A/B test, as the user writes it."""

    api_version: Annotated[Literal["serving.knative.dev/v1"], Meta(description="serving.knative.dev/v1")]
    kind: Annotated[Literal["Service"], Meta(description="Service")]
    metadata: Metadata
    spec: TrafficSpec
