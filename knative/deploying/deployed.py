"""The Knative Service of a deployed model."""

from knative.api.client import Cluster
from knative.deploying.errors import NoService
from knative.objects import Manifest, Ref


def service_of(cluster: Cluster, model: str) -> Manifest:
    """Return the Service of a model. Raises `NoService` with the existing ones."""
    service = cluster.get(Ref("Service", model))
    if service is None:
        known = [each["metadata"]["name"] for each in cluster.list("Service")]
        raise NoService(model, namespace=cluster.namespace, context=cluster.context, known=known)
    return service
