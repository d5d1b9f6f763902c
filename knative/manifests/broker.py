"""The Broker that the files ask a deploy to create. Several functions may declare the same one."""

from knative.manifests import names
from knative.manifests.options import DeploymentOptions
from knative.objects import EVENTING, Manifest
from knative.resources.events import Events


def broker(events: Events, options: DeploymentOptions) -> Manifest:
    """Return the Broker. It has no label of a function, because its functions share it. Raises `BadSetting`."""
    annotations = {} if events.broker_class is None else {"annotations": {names.BROKER_CLASS: events.broker_class}}
    return {
        "apiVersion": EVENTING,
        "kind": "Broker",
        "metadata": {
            "name": names.broker(events.broker),
            "namespace": options.namespace,
            "labels": {names.MANAGED_BY: names.MANAGER},
            **annotations,
        },
    }
