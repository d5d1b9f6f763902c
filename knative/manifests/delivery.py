"""Destinations and deliveries of events in the form of Knative Eventing (its duck types, v1)."""

from knative.objects import EVENTING, SERVING, Manifest
from knative.resources.delivery import Delivery, Sink, iso_8601


def destination(sink: Sink) -> Manifest:
    """Return the destination. A reference is to an object in the namespace of the deployment."""
    if sink.broker is not None:
        return {"ref": {"apiVersion": EVENTING, "kind": "Broker", "name": sink.broker}}
    if sink.function is not None:
        return function(sink.function)
    if sink.ref is not None:
        return {"ref": {"apiVersion": sink.ref.api_version, "kind": sink.ref.kind, "name": sink.ref.name}}
    return {"uri": sink.uri}


def function(name: str) -> Manifest:
    """Return the destination of a function: its Knative Service."""
    return {"ref": {"apiVersion": SERVING, "kind": "Service", "name": name}}


def delivery(declared: Delivery) -> Manifest:
    """Return the delivery with durations in ISO 8601."""
    durations = {
        "backoffDelay": declared.backoff_delay,
        "timeout": declared.timeout,
        "retryAfterMax": declared.retry_after_max,
    }
    return {
        "retry": declared.retry,
        "backoffPolicy": declared.backoff_policy,
        **{name: iso_8601(text) for name, text in durations.items() if text is not None},
        **({"format": declared.format} if declared.format else {}),
        **({"deadLetterSink": destination(declared.dead_letter_sink)} if declared.dead_letter_sink else {}),
    }
