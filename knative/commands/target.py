"""The cluster and the namespace that a command works on."""

from pathlib import Path

from knative.api.client import Cluster
from knative.function.project import Project
from knative.resources.func_yaml import read_function
from runtime.settings import FUNCTION


def connect(project: Project, *, context: str | None) -> tuple[Project, Cluster]:
    """Find the cluster, and set the project's namespace: a flag's, func.yaml's or the context's. Sends no request.

    Raises `NoCluster`, `WrongContext`, `BadKubeconfig`.
    """
    cluster = Cluster(context=context, namespace=project.namespace)
    return project.in_namespace(cluster.namespace), cluster


def connect_for(model: str | None, *, namespace: str | None, context: str | None) -> Cluster:
    """Return the cluster and the namespace of a deployed model: of a flag, ./func.yaml or the context.

    Raises `NotInCluster` if the namespace does not exist, and the errors of `connect` and `namespace_here`.
    """
    cluster = Cluster(context=context, namespace=namespace or namespace_here(model))
    cluster.require_namespace()
    return cluster


def namespace_here(model: str | None) -> str | None:
    """Return the namespace in ./func.yaml if that file belongs to the model; None: use that of the context.

    Raises `BadManifest` for a func.yaml that cannot be read.
    """
    here = Path()
    if not (here / FUNCTION).is_file():
        return None
    function = read_function(here).function
    return function.target_namespace if model in {None, function.name} else None
