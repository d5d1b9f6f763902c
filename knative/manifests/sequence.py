"""The Sequence of a function: a pipeline of functions, of which it is one."""

from knative.manifests import delivery, names
from knative.manifests.options import DeploymentOptions
from knative.objects import FLOWS, Manifest
from knative.resources.delivery import Delivery
from knative.resources.events import Events, Sequence


def sequence(model: str, declared: Sequence, events: Events, options: DeploymentOptions) -> Manifest:
    """Return the Sequence. A step has a delivery in any case, because without one Knative never tries again."""
    each_step = delivery.delivery(events.delivery or Delivery())
    template = declared.channel_template
    channels = {"apiVersion": template.api_version, "kind": template.kind} if template else None
    return {
        "apiVersion": FLOWS,
        "kind": "Sequence",
        "metadata": {
            "name": names.service(model),
            "namespace": options.namespace,
            "labels": names.labels(model),
        },
        "spec": {
            "steps": [{**delivery.function(names.service(each)), "delivery": each_step} for each in declared.steps],
            **({"channelTemplate": channels} if channels else {}),
            **({"reply": delivery.destination(declared.reply)} if declared.reply else {}),
        },
    }
