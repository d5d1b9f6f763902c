"""The cluster and the namespace that a command works on."""

from knative.api.client import Cluster
from knative.function.project import Project


def connect(project: Project, *, context: str | None) -> tuple[Project, Cluster]:
    """Find the cluster, and set the project's namespace: a flag's, func.yaml's or the context's. Sends no request.

    Raises `NoCluster`, `WrongContext`, `BadKubeconfig`.
    """
    cluster = Cluster(context=context, namespace=project.namespace)
    return project.within(cluster.namespace), cluster
