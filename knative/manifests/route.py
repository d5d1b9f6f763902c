"""The user's A/B Service, as a Route.

Knative refuses it as a Service: it has no template, and a Service routes only to its own revisions. A Route may route
to revisions of any Service, so the user's name and traffic are used as written.
"""

from knative.manifests import names
from knative.manifests.options import DeploymentOptions
from knative.objects import SERVING, Manifest
from knative.resources import ABService


def route(split: ABService, options: DeploymentOptions) -> Manifest:
    """Return the Route. Raises `BadSetting` for a name that Knative refuses."""
    name = names.route(split.metadata.name)
    return {
        "apiVersion": SERVING,
        "kind": "Route",
        "metadata": {"name": name, "namespace": options.namespace, "labels": names.labels(name)},
        "spec": {
            "traffic": [
                {"revisionName": target.revision_name, "percent": target.percent} for target in split.spec.traffic
            ]
        },
    }
