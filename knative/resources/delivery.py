"""How Knative Eventing delivers an event: the destination, the retries, and where it goes if all of them fail.

The fields are those of Knative's DeliverySpec (eventing, pkg/apis/duck/v1) with shorter destinations. A duration may
have the form of the other fields of a manifest ("500ms"), or Knative's own, ISO 8601 (PT0.5S).
"""

import re
from typing import Annotated, Final, Literal

from msgspec import Meta

from knative.resources import durations
from knative.resources.errors import FieldFault, as_yaml
from knative.resources.fields import Name, Part, rendered_default

_ISO: Final = re.compile(
    r"PT(?=\d)(?:(?P<hours>\d{1,6})H)?(?:(?P<minutes>\d{1,6})M)?(?:(?P<seconds>\d{1,6}(?:\.\d{1,6})?)S)?"
)
_STEP: Final = 0.1  # s; Knative's parser of periods keeps one decimal
MAX_RETRIES: Final = 1000

# The pattern of durations.py, or hours, minutes and seconds of ISO 8601.
Delay = Annotated[
    str,
    Meta(
        pattern=r"^(0|([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+"
        r"|PT([0-9]{1,6}H([0-9]{1,6}M)?([0-9]{1,6}(\.[0-9]{1,6})?S)?|[0-9]{1,6}M([0-9]{1,6}(\.[0-9]{1,6})?S)?"
        r"|[0-9]{1,6}(\.[0-9]{1,6})?S))\Z",
        max_length=32,
        description='a duration in quotes, such as "500ms" or "PT0.5S"',
    ),
]


class GroupVersionKind(Part, frozen=True, kw_only=True):
    """A kind of objects of an API, as Kubernetes names it."""

    api_version: Annotated[
        str,
        Meta(
            pattern=r"^([a-z0-9.-]+/)?v[a-z0-9]+\Z",
            max_length=253,
            description="a group and a version, such as eventing.knative.dev/v1alpha1",
        ),
    ]
    kind: Annotated[
        str,
        Meta(
            pattern=r"^[A-Z][A-Za-z0-9]*\Z", max_length=63, description="a kind, such as KafkaSink or InMemoryChannel"
        ),
    ]


class Reference(GroupVersionKind, frozen=True, kw_only=True):
    """An object in the namespace of the deployment that has an address."""

    name: Name


class Sink(Part, frozen=True, kw_only=True):
    """Where events are sent: exactly one of the fields."""

    broker: Name | None = None
    function: Name | None = None  # the Knative Service of a function
    uri: (
        Annotated[
            str,
            Meta(
                pattern=r"^https?://[^\s/?#]+\S*\Z",
                max_length=2048,
                description="an address, such as http://events.example.com/in",
            ),
        ]
        | None
    ) = None
    ref: Reference | None = None

    def __post_init__(self) -> None:
        """Raise `FieldFault` unless exactly one field is set."""
        if (count := sum(each is not None for each in (self.broker, self.function, self.uri, self.ref))) != 1:
            allowed = "exactly one of broker, function, uri, ref"
            raise FieldFault(value=f"{count} destinations", allowed=allowed)

    def __str__(self) -> str:
        """Format it for a message."""
        if self.ref is not None:
            return f"{self.ref.kind} {self.ref.name}"
        kind, name = next(
            (kind, name)
            for kind, name in (("Broker", self.broker), ("function", self.function), ("", self.uri))
            if name
        )
        return f"{kind} {name}".strip()


class Delivery(Part, frozen=True, kw_only=True):
    """The retries of a delivery, with the defaults of a Broker."""

    # The delivery of a Trigger replaces that of its Broker as a whole, except the dead letter sink, and without a retry
    # Knative never tries again. So the fields of the retries are always rendered.
    retry: Annotated[int, Meta(ge=0, le=MAX_RETRIES, description=f"a whole number from 0 to {MAX_RETRIES}")] = (
        rendered_default(10)
    )
    backoff_policy: Annotated[Literal["exponential", "linear"], Meta(description="exponential or linear")] = (
        rendered_default("exponential")
    )
    backoff_delay: Delay = rendered_default("200ms")
    timeout: Delay | None = None
    retry_after_max: Delay | None = None
    format: Annotated[Literal["binary", "json"], Meta(description="binary or json")] | None = None
    dead_letter_sink: Sink | None = None

    def __post_init__(self) -> None:
        """Raise `FieldFault` for a duration that Knative cannot keep."""
        for field, text, lowest in (
            ("backoffDelay", self.backoff_delay, 0.0),
            ("timeout", self.timeout, _STEP),
            ("retryAfterMax", self.retry_after_max, 0.0),
        ):
            if text is not None and not _is_kept(text, lowest):
                start = f"{lowest:g}s"
                allowed = f'a duration from {start} to 24h in steps of 100ms, as Knative keeps no more digits: "500ms"'
                raise FieldFault(field, value=as_yaml(text), allowed=allowed)


def delay_seconds(text: Delay) -> float:
    """Convert a duration of either form to seconds. Return infinity on overflow."""
    found = _ISO.fullmatch(text)
    if found is None:
        return durations.seconds(text)
    hours, minutes, seconds = (float(found[name] or 0) for name in ("hours", "minutes", "seconds"))
    return hours * 3600 + minutes * 60 + seconds


def iso_8601(text: Delay) -> str:
    """Convert a duration of either form to ISO 8601, as Knative writes it: PT1H, PT1M30S, PT0.5S."""
    tenths = round(delay_seconds(text) / _STEP)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    parts = ((hours, "H"), (minutes, "M"), (f"{tenths / 10:g}" if tenths else 0, "S"))
    return f"PT{''.join(f'{number}{unit}' for number, unit in parts if number) or '0S'}"


def _is_kept(text: Delay, lowest: float) -> bool:
    seconds = delay_seconds(text)
    if not lowest <= seconds <= durations.MAX_SECONDS:
        return False
    return abs(seconds / _STEP - round(seconds / _STEP)) < 1e-6  # noqa: PLR2004 - rounding of floats
