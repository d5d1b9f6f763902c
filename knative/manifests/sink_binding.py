"""The SinkBinding of a function: the address for the log of its predictions.

Knative adds the variable K_SINK, and K_CE_OVERRIDES for the extensions, to the template of the Service when the Service
is written. A revision never changes, so the binding has to exist before the Service gets the template of a revision.
"""

from knative.manifests import names
from knative.manifests.delivery import destination
from knative.manifests.options import DeploymentOptions
from knative.objects import SERVING, SOURCES, Manifest
from knative.resources.events import Predictions


def sink_binding(model: str, predictions: Predictions, options: DeploymentOptions) -> Manifest:
    """Return the SinkBinding of a model's Service."""
    extensions = {"ceOverrides": {"extensions": predictions.extensions}} if predictions.extensions else {}
    return {
        "apiVersion": SOURCES,
        "kind": "SinkBinding",
        "metadata": {
            "name": names.service(model),
            "namespace": options.namespace,
            "labels": names.labels(model),
        },
        "spec": {
            "subject": {"apiVersion": SERVING, "kind": "Service", "name": names.service(model)},
            "sink": destination(predictions.sink),
            **extensions,
        },
    }
