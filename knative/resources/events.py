"""The `events:` part of an InferenceConfig: which events a function gets, and how it answers them.

Some fields are settings of the runtime, which `serve` uses too; the others become objects of Knative Eventing
(manifests/): Triggers, a Broker, a Sequence and a SinkBinding.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Annotated, Final

from msgspec import Meta, field, structs

from knative.resources.delivery import Delivery, GroupVersionKind, Sink
from knative.resources.durations import MAX_SECONDS, Duration, seconds
from knative.resources.errors import FieldFault, as_yaml
from knative.resources.event_filters import Attributes, AttributesFilter, Filter, conjunction, refuse_bad_names
from knative.resources.fields import Name, Part, rendered_default

DEFAULT_BROKER: Final = "default"  # the name that Knative's documentation and `kn` use
NO_REPLY: Final = "none"  # as a type of reply: an event is answered without an event
LOG_TO_SINK: Final = "sink"  # of SCALEZERO_PREDICTION_LOG: the address in K_SINK, which a SinkBinding sets
_TYPE: Final = "type"
EventType = Annotated[
    str,
    Meta(
        pattern=r"^[!-~]+\Z",
        max_length=256,
        description="the type of an event in ASCII without spaces, such as com.example.created",
    ),
]
Switch = Annotated[bool, Meta(description="true or false")]


class Trigger(Part, frozen=True, kw_only=True):
    """A subscription: the events of a Broker that pass the filters are delivered to the function."""

    name: Name | None = None  # without it, the Trigger has the name of the function
    type: EventType | None = None  # short for filter.attributes.type
    broker: Name | None = None  # None: that of the events
    filter: AttributesFilter = AttributesFilter()
    filters: Annotated[tuple[Filter, ...], Meta(max_length=16, description="a list of filters")] = ()
    delivery: Delivery | None = None  # instead of that of the events; a dead letter sink is kept

    def __post_init__(self) -> None:
        """Raise `FieldFault` for filters of which Knative would ignore some."""
        if self.filters and self.filter.attributes:
            allowed = "filter or filters: Knative ignores filter if there are filters"
            raise FieldFault("filters", value="filters beside a filter", allowed=allowed)
        if self.type is not None and _TYPE in self.filter.attributes:
            raise FieldFault(_TYPE, value="a second type", allowed="type, or filter.attributes.type, and not both")

    @property
    def attributes(self) -> dict[str, str]:
        """The values that attributes of an event must have, with the type."""
        return {**({} if self.type is None else {_TYPE: self.type}), **self.filter.attributes}

    def passes(self, event: Mapping[str, str]) -> bool | None:
        """Return whether an event with these attributes passes; None: its other attributes decide."""
        exact = Filter(exact=self.attributes).passes(event) if self.attributes else True
        return conjunction((exact, *(each.passes(event) for each in self.filters)))


class ChannelTemplate(GroupVersionKind, frozen=True, kw_only=True):
    """The kind of the channels that keep the events before each step."""


class Sequence(Part, frozen=True, kw_only=True):
    """A pipeline: each step gets the answer of the one before."""

    steps: Annotated[
        tuple[Name, ...],
        Meta(min_length=1, max_length=32, description="a list of at least one name of a function, in their order"),
    ]
    reply: Sink | None = None  # where the answer of the last step goes; None: it is dropped
    channel_template: ChannelTemplate | None = None  # None: the default of the namespace or the cluster


class Predictions(Part, frozen=True, kw_only=True):
    """The log of predictions: an event for each, sent to the sink."""

    sink: Sink
    sample: Annotated[float, Meta(ge=0, le=1, description="a number from 0 to 1: the share that is logged")] | None = (
        None
    )
    extensions: Attributes = field(default_factory=dict)  # attributes that are set on each event

    def __post_init__(self) -> None:
        """Raise `FieldFault` for a name that no attribute of an event can have."""
        refuse_bad_names("extensions", self.extensions)


class Events(Part, frozen=True, kw_only=True):
    """The events of a function. A field without a value has the default of the runtime's setting, or of Knative."""

    target: (
        Annotated[
            str,
            Meta(pattern=r"^[A-Za-z_][A-Za-z0-9_]*\Z", max_length=256, description="the name of a function in main.py"),
        ]
        | None
    ) = None
    reply_type: EventType | None = None
    window: Duration | None = None
    window_size: Annotated[int, Meta(ge=1, le=10**7, description="a whole number from 1 to 10000000")] | None = None
    batches: Switch | None = None
    buckets: (
        Annotated[
            tuple[
                Annotated[
                    str, Meta(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]\Z", description="the name of a bucket")
                ],
                ...,
            ],
            Meta(max_length=64, description="a list of buckets"),
        ]
        | None
    ) = None
    max_object_bytes: (
        Annotated[int, Meta(ge=1, le=2**31, description="a whole number of bytes from 1 to 2147483648")] | None
    ) = None
    predictions: Predictions | None = None
    broker: Name = rendered_default(DEFAULT_BROKER)
    create_broker: Switch = False
    broker_class: (
        Annotated[
            str,
            Meta(
                pattern=r"^[A-Za-z][A-Za-z0-9.-]*\Z", max_length=63, description="a class, such as MTChannelBasedBroker"
            ),
        ]
        | None
    ) = None
    triggers: Annotated[tuple[Trigger, ...], Meta(max_length=32, description="a list of triggers")] = ()
    delivery: Delivery | None = None
    sequence: Sequence | None = None

    def __post_init__(self) -> None:
        """Raise `FieldFault` for two Triggers of one name, a window out of range, or a class without effect."""
        counts = Counter(each.name for each in self.triggers)
        for index, each in enumerate(self.triggers):
            if counts[each.name] > 1:
                value = "no name" if each.name is None else as_yaml(each.name)
                allowed = "a different name for each trigger; at most one has no name"
                raise FieldFault("triggers", index, "name", value=value, allowed=allowed)
        if self.window is not None and not 0 <= seconds(self.window) <= MAX_SECONDS:
            raise FieldFault("window", value=as_yaml(self.window), allowed='a duration from "0s" to "24h"')
        if self.broker_class is not None and not self.create_broker:
            allowed = "createBroker: true, or no brokerClass: it is the class of the Broker that a deploy creates"
            raise FieldFault("brokerClass", value=as_yaml(self.broker_class), allowed=allowed)

    def delivery_of(self, trigger: Trigger) -> Delivery | None:
        """Return the delivery of a trigger: its own, with the dead letter sink of the events if it has none."""
        if trigger.delivery is None or self.delivery is None:
            return trigger.delivery or self.delivery
        return structs.replace(
            trigger.delivery, dead_letter_sink=trigger.delivery.dead_letter_sink or self.delivery.dead_letter_sink
        )

    def settings(self) -> dict[str, object]:
        """Return the settings of the runtime that are declared, by the names of their fields."""
        declared: dict[str, object] = {
            "event_target": self.target,
            "event_window": None if self.window is None else seconds(self.window),
            "event_window_size": self.window_size,
            "event_batches": self.batches,
            "event_buckets": self.buckets,
            "event_object_bytes": self.max_object_bytes,
            "prediction_log": LOG_TO_SINK if self.predictions else None,
            "prediction_log_sample": self.predictions.sample if self.predictions else None,
        }
        reply: dict[str, object] = {}
        if self.reply_type is not None:
            reply["event_reply_type"] = None if self.reply_type == NO_REPLY else self.reply_type
        return {**{name: value for name, value in declared.items() if value is not None}, **reply}
