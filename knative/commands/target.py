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
    return project.within(cluster.namespace), cluster


def namespace_here(model: str | None) -> str | None:
    """The namespace in the func.yaml of the working directory, if that is of the model; None: the context decides.

    Raises `BadManifest` for a func.yaml that cannot be read.
    """
    here = Path()
    if not (here / FUNCTION).is_file():
        return None
    function = read_function(here).function
    return function.namespace if model in {None, function.name} else None
