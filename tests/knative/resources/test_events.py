"""The `events:` part of an InferenceConfig: the short form, the rules, and the settings that it declares."""

from dataclasses import fields

import pytest

from knative.resources import BadManifest, Resources, parse_resources, render_resources
from knative.resources.delivery import Delivery, Sink
from knative.resources.event_filters import AttributesFilter, Filter
from knative.resources.events import Events, Trigger
from runtime.settings import Settings

HEAD = "apiVersion: ml.example.com/v1\nkind: InferenceConfig\nmetadata: {name: m-config}\nspec: {modelName: m, events: "


def read(events: str) -> Resources:
    return parse_resources(f"{HEAD}{events}}}\n", file="model.yaml")


def events_of(events: str) -> Events:
    found = read(events).inference_configs[0].spec.events
    assert found is not None
    return found


def test_the_common_case_is_short() -> None:
    events = events_of("{triggers: [{type: com.example.created}]}")
    assert events.broker == "default"
    assert [each.attributes for each in events.triggers] == [{"type": "com.example.created"}]
    assert events.settings() == {}
    assert not events.create_broker


def test_a_type_is_a_part_of_the_exact_attributes() -> None:
    trigger = Trigger(type="a", filter=AttributesFilter(attributes={"source": "b"}))
    assert trigger.attributes == {"type": "a", "source": "b"}


def test_every_field_for_the_runtime_is_a_setting_of_it() -> None:
    events = events_of(
        "{target: on_object, replyType: a.b, window: 0s, windowSize: 5, batches: false, buckets: [uploads], "
        "maxObjectBytes: 1024, predictions: {sink: {broker: default}, sample: 0.5}}"
    )
    assert events.settings() == {
        "event_target": "on_object",
        "event_reply_type": "a.b",
        "event_window": 0.0,
        "event_window_size": 5,
        "event_batches": False,
        "event_buckets": ("uploads",),
        "event_object_bytes": 1024,
        "prediction_log": "sink",
        "prediction_log_sample": 0.5,
    }
    assert events.settings().keys() <= {each.name for each in fields(Settings)}


def test_no_reply_is_a_setting_of_its_own() -> None:
    assert events_of("{replyType: none}").settings() == {"event_reply_type": None}


@pytest.mark.parametrize(
    ("events", "field", "message"),
    [
        ("{triggers: [{}, {}]}", "spec.events.triggers[0].name", "got no name; expected a different name"),
        ("{triggers: [{name: a}, {name: a}]}", "spec.events.triggers[0].name", 'got "a"; expected a different name'),
        ("{window: 25h}", "spec.events.window", 'expected a duration from "0s" to "24h"'),
        ("{brokerClass: Kafka}", "spec.events.brokerClass", "expected createBroker: true, or no brokerClass"),
        ("{target: on-object}", "spec.events.target", "expected the name of a function in main.py"),
        ("{buckets: [A]}", "spec.events.buckets[0]", "expected the name of a bucket"),
        ("{replyType: a b}", "spec.events.replyType", "expected the type of an event in ASCII without spaces"),
        ("{sequence: {steps: []}}", "spec.events.sequence.steps", "expected a list of at least one name"),
        (
            "{sequence: {steps: [m], channelTemplate: {apiVersion: messaging.knative.dev/v1}}}",
            "spec.events.sequence.channelTemplate.kind",
            "expected a kind, such as KafkaSink or InMemoryChannel",
        ),
        (
            "{sequence: {steps: [m], channelTemplate: {apiVersion: v1, kind: channel}}}",
            "spec.events.sequence.channelTemplate.kind",
            "expected a kind, such as KafkaSink or InMemoryChannel",
        ),
        ("{predictions: {}}", "spec.events.predictions.sink", "got nothing; expected a mapping with broker, function"),
        ("{predictions: {sink: {}}}", "spec.events.predictions.sink", "got 0 destinations; expected exactly one of"),
        (
            "{predictions: {sink: {broker: a}, extensions: {Team: a}}}",
            "spec.events.predictions.extensions.Team",
            "expected the name of an attribute",
        ),
        ("{delivery: {backoffDelay: 1d}}", "spec.events.delivery.backoffDelay", 'such as "500ms" or "PT0.5S"'),
        ("{delivery: {backoffDelay: PT}}", "spec.events.delivery.backoffDelay", 'such as "500ms" or "PT0.5S"'),
        ("{delivery: {backoffPolicy: none}}", "spec.events.delivery.backoffPolicy", "expected exponential or linear"),
        (
            "{triggers: [{type: a, filter: {attributes: {type: b}}}]}",
            "spec.events.triggers[0].type",
            "got a second type; expected type, or filter.attributes.type",
        ),
        (
            "{triggers: [{filter: {attributes: {type: b}}, filters: [{cesql: TRUE}]}]}",
            "spec.events.triggers[0].filters[0].cesql",
            "expected an expression of CloudEvents SQL",
        ),
        (
            "{triggers: [{filter: {attributes: {type: b}}, filters: [{cesql: 'TRUE'}]}]}",
            "spec.events.triggers[0].filters",
            "expected filter or filters: Knative ignores filter",
        ),
        (
            "{triggers: [{filters: [{any: [{exact: {type: a}, suffix: {type: b}}]}]}]}",
            "spec.events.triggers[0].filters[0].any[0]",
            "got 2 dialects; expected exactly one of",
        ),
        (
            "{triggers: [{filters: [{not: {exact: {Type: a}}}]}]}",
            "spec.events.triggers[0].filters[0].not.exact.Type",
            "expected the name of an attribute",
        ),
        ("{trigger: []}", "spec.events.trigger", "did you mean triggers?"),
    ],
)
def test_an_error_names_the_field_and_what_is_allowed(events: str, field: str, message: str) -> None:
    with pytest.raises(BadManifest) as caught:
        read(events)
    assert caught.value.details["field"] == field
    assert message in str(caught.value)


def test_events_are_rendered_and_read_back_unchanged() -> None:
    text = (
        "{broker: shop, createBroker: true, brokerClass: Kafka, triggers: [{type: a}, {name: rest, broker: other, "
        "filters: [{not: {prefix: {type: ml.}}}, {any: [{cesql: a = 1}, {suffix: {source: x}}]}], "
        "delivery: {retry: 0}}], "
        "sequence: {steps: [m, n], reply: {uri: 'http://a/b'}, "
        "channelTemplate: {apiVersion: messaging.knative.dev/v1, kind: Channel}}, window: 5m}"
    )
    resources = read(text)
    assert parse_resources(render_resources(resources), file="rendered.yaml") == resources


def test_a_trigger_keeps_the_dead_letter_sink_of_the_events() -> None:
    """As Knative does with the delivery of a Trigger and that of its Broker."""
    sink = Sink(function="dead")
    events = Events(delivery=Delivery(retry=3, dead_letter_sink=sink))
    assert events.delivery_of(Trigger()) == events.delivery
    assert events.delivery_of(Trigger(delivery=Delivery(retry=7))) == Delivery(retry=7, dead_letter_sink=sink)
    own = Delivery(dead_letter_sink=Sink(broker="dead"))
    assert events.delivery_of(Trigger(delivery=own)) == own
    assert Events().delivery_of(Trigger()) is None
    assert Events().delivery_of(Trigger(delivery=own)) == own


@pytest.mark.parametrize(
    ("trigger", "result"),
    [
        (Trigger(), True),
        (Trigger(type="a"), True),
        (Trigger(type="b"), False),
        (Trigger(filter=AttributesFilter(attributes={"subject": "x"})), None),
        (Trigger(type="a", filters=(Filter(prefix={"source": "/"}),)), True),
        (Trigger(type="a", filters=(Filter(prefix={"source": "x"}),)), False),
    ],
)
def test_an_event_passes_a_trigger_if_it_passes_all_filters(trigger: Trigger, result: bool | None) -> None:  # noqa: FBT001 - a test case
    assert trigger.passes({"type": "a", "source": "/s"}) is result
