"""The Triggers of a function: those of its events, and the subscriptions of func.yaml.

`func deploy` creates a Trigger NAME-function-trigger-0, -1, ... for each subscription. A trigger of the events that is
the same subscription has this name too, so an event is delivered once, whichever command deployed the function.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from knative.manifests import delivery, names
from knative.manifests.options import DeploymentOptions, Subscription
from knative.objects import EVENTING, FLOWS, Manifest
from knative.resources.event_filters import AttributesFilter, Filter
from knative.resources.events import Events, Trigger


def triggers(model: str, events: Events, options: DeploymentOptions) -> Iterator[Manifest]:
    """Yield the Triggers of a function. Raises `BadSetting` for a name that Knative refuses."""
    own = [*options.subscriptions_of(model)]
    declared = [subscription_of(each, events) for each in events.triggers]
    for each, subscription in zip(events.triggers, declared, strict=True):
        if subscription in own:
            name = names.subscription(model, own.index(subscription))
        else:
            name = names.trigger(model, each.name)
        yield _trigger(name, model, each, events, options)
    for index, subscription in enumerate(own):
        if subscription not in declared:
            yield _trigger(names.subscription(model, index), model, subscribed(subscription), events, options)


def subscription_of(trigger: Trigger, events: Events) -> Subscription | None:
    """Return the subscription of func.yaml that is the same as a trigger; None: it has other filters than these."""
    if trigger.filters:
        return None
    return Subscription(trigger.broker or events.broker, trigger.attributes)


def subscribed(subscription: Subscription) -> Trigger:
    """Return the trigger for a subscription of func.yaml."""
    return Trigger(broker=subscription.broker, filter=AttributesFilter(attributes={**subscription.attributes}))


def _trigger(name: str, model: str, trigger: Trigger, events: Events, options: DeploymentOptions) -> Manifest:
    declared = events.delivery_of(trigger)
    return {
        "apiVersion": EVENTING,
        "kind": "Trigger",
        "metadata": {"name": name, "namespace": options.namespace, "labels": {**names.labels(model)}},
        "spec": {
            "broker": trigger.broker or events.broker,
            **_filters(trigger),
            "subscriber": _subscriber(model, events),
            **({"delivery": delivery.delivery(declared)} if declared else {}),
        },
    }


def _subscriber(model: str, events: Events) -> Manifest:
    """Return the function, or its Sequence. A trigger is ready only with its subscriber."""
    if events.sequence is None:
        return delivery.function(names.service(model))
    return {"ref": {"apiVersion": FLOWS, "kind": "Sequence", "name": names.service(model)}}


def _filters(trigger: Trigger) -> Manifest:
    """Return filter or filters, because Knative ignores filter if there are filters."""
    if not trigger.filters:
        return {"filter": {"attributes": trigger.attributes}} if trigger.attributes else {}
    exact = [] if trigger.type is None else [{"exact": {"type": trigger.type}}]
    return {"filters": [*exact, *_expressions(trigger.filters)]}


def _expressions(filters: Sequence[Filter]) -> list[dict[str, Any]]:
    return [_expression(each) for each in filters]


def _expression(declared: Filter) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "exact": declared.exact,
        "prefix": declared.prefix,
        "suffix": declared.suffix,
        "all": _expressions(declared.all),
        "any": _expressions(declared.any),
        "not": declared.negated and _expression(declared.negated),
        "cesql": declared.cesql,
    }
    return {name: value for name, value in fields.items() if value}
