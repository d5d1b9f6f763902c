"""InferenceConfig: how requests to a model are batched, and how long one may wait."""

from typing import Annotated, Literal

from msgspec import Meta

from knative.resources.durations import LONGEST, Duration, seconds
from knative.resources.errors import FieldFault, Violation, as_yaml
from knative.resources.fields import Metadata, Name, Part, shown_default

Rows = Annotated[int, Meta(ge=1, le=4096, description="a whole number of rows from 1 to 4096")]


class InferenceConfigSpec(Part, frozen=True, kw_only=True):
    """The batching settings. Their defaults are those of the runtime's settings."""

    model_name: Name | None = None  # without it, links.py finds the model
    batch_size: Annotated[int, Meta(ge=1, le=4096, description="a whole number of rows from 1 to 4096")] = (
        shown_default(32)
    )
    max_wait_time: Duration = shown_default("100ms")
    timeout: Duration = shown_default("30s")

    def __post_init__(self) -> None:
        """Raise `FieldFault` where a duration is out of range, or a request would expire before its batch is full."""
        if not 0 <= self.max_wait_seconds <= LONGEST:
            raise FieldFault("maxWaitTime", value=as_yaml(self.max_wait_time), allowed='a duration from "0s" to "24h"')
        if not 0 < self.timeout_seconds <= LONGEST:
            raise FieldFault("timeout", value=as_yaml(self.timeout), allowed='a duration from "1us" to "24h"')
        if self.timeout_seconds <= self.max_wait_seconds:
            allowed = f"longer than maxWaitTime ({as_yaml(self.max_wait_time)}), or requests expire while a batch fills"
            violation = Violation.WAIT_NOT_BELOW_TIMEOUT
            raise FieldFault("timeout", value=as_yaml(self.timeout), allowed=allowed, violation=violation)

    @property
    def max_wait_seconds(self) -> float:
        """The longest time that a run waits for more requests, in seconds."""
        return seconds(self.max_wait_time)

    @property
    def timeout_seconds(self) -> float:
        """The longest that one request may wait in the queue, in seconds."""
        return seconds(self.timeout)


class InferenceConfig(Part, frozen=True, kw_only=True):
    """How requests to one model are batched. It belongs to the model of its modelName, else to that of its own name."""

    api_version: Annotated[Literal["ml.example.com/v1"], Meta(description="ml.example.com/v1")]
    kind: Annotated[Literal["InferenceConfig"], Meta(description="InferenceConfig")]
    metadata: Metadata
    spec: InferenceConfigSpec = InferenceConfigSpec()
