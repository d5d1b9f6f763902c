"""InferenceConfig: how requests to a model are batched, how long a request may wait, its events and its guest."""

from typing import Annotated, Literal

from msgspec import Meta

from knative.resources.durations import MAX_SECONDS, Duration, seconds
from knative.resources.errors import FieldFault, Violation, as_yaml
from knative.resources.events import Events
from knative.resources.fields import Metadata, Name, Part, rendered_default
from knative.resources.guest import Guest

Rows = Annotated[int, Meta(ge=1, le=4096, description="a whole number of rows from 1 to 4096")]


class InferenceConfigSpec(Part, frozen=True, kw_only=True):
    """The batching settings, with the defaults of the runtime's settings; the events and the guest of the function."""

    model_name: Name | None = None  # without it, links.py finds the model
    batch_size: Rows = rendered_default(32)
    max_wait_time: Duration = rendered_default("100ms")
    timeout: Duration = rendered_default("30s")
    events: Events | None = None  # None: nothing is deployed for events; a function answers them anyway
    guest: Guest | None = None  # the function, in place of a main.py; None: no guest

    def __post_init__(self) -> None:
        """Raise `FieldFault` if a duration is out of range, or if a request could expire before its batch is full."""
        if not 0 <= self.max_wait_seconds <= MAX_SECONDS:
            raise FieldFault("maxWaitTime", value=as_yaml(self.max_wait_time), allowed='a duration from "0s" to "24h"')
        if not 0 < self.timeout_seconds <= MAX_SECONDS:
            raise FieldFault("timeout", value=as_yaml(self.timeout), allowed='a duration from "1us" to "24h"')
        if self.timeout_seconds <= self.max_wait_seconds:
            allowed = f"longer than maxWaitTime ({as_yaml(self.max_wait_time)}), or requests expire while a batch fills"
            violation = Violation.WAIT_NOT_BELOW_TIMEOUT
            raise FieldFault("timeout", value=as_yaml(self.timeout), allowed=allowed, violation=violation)

    @property
    def max_wait_seconds(self) -> float:
        """The maximum time that a batch waits for more requests, in seconds."""
        return seconds(self.max_wait_time)

    @property
    def timeout_seconds(self) -> float:
        """The maximum time that a request may wait in the queue, in seconds."""
        return seconds(self.timeout)


class InferenceConfig(Part, frozen=True, kw_only=True):
    """The batching and the events of one model. spec.modelName, or the prefix of metadata.name, names the model."""

    api_version: Annotated[Literal["ml.example.com/v1"], Meta(description="ml.example.com/v1")]
    kind: Annotated[Literal["InferenceConfig"], Meta(description="InferenceConfig")]
    metadata: Metadata
    spec: InferenceConfigSpec = InferenceConfigSpec()
