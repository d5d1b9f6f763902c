"""From a verb's flags to what is wanted and what is there: the first half of plan, apply and deploy."""

import os
from pathlib import Path
from typing import NamedTuple

from knative.cluster import Cluster
from knative.function import Flags, deployment, function_for, handler_for
from knative.manifests import Deployment, desired
from knative.objects import Manifest, Ref
from knative.observe import observe
from knative.plan import Plan, plan
from knative.resources import Resources, read_resources
from runtime.errors import BadSetting

FUNCTIONS = "functions"


class Intent(NamedTuple):
    """What is wanted of a cluster, what it has, and the way from the one to the other."""

    cluster: Cluster
    resources: Resources
    observed: dict[Ref, Manifest]
    plan: Plan


def intent(paths: tuple[Path, ...], flags: Flags, *, context: str | None, force: bool) -> Intent:
    """Read the files, look at the cluster, plan. Changes nothing. Raises what reading and the cluster raise."""
    resources = read_resources(*paths)
    cluster = Cluster(context=context, namespace=flags.namespace)
    options = _options(paths, resources, flags, cluster.namespace)
    cluster = cluster.within(options.namespace)
    steps = desired(resources, options)
    observed = dict(observe(cluster, steps))
    return Intent(cluster, resources, observed, plan(steps, observed, force=force))


def _options(paths: tuple[Path, ...], resources: Resources, flags: Flags, namespace: str) -> Deployment:
    """Work out the options. Raises `BadSetting` for an author's function that the image cannot have."""
    handler = handler_for(paths)
    options = deployment(
        function_for(paths, resources.models),
        environ=os.environ,
        flags=flags,
        handler=handler and in_image(handler),
        namespace=namespace,
    )
    if handler and options.runtime.function_source is None:
        allowed = (
            f"one in a folder of {FUNCTIONS}/, all of which the image holds (scripts/image builds it), or its path in "
            "an image of your own as FUNCTION_SOURCE in func.yaml"
        )
        raise BadSetting("function", value=str(handler), allowed=allowed)
    return options


def in_image(handler: Path) -> Path | None:
    """Say where the image has an author's function; None where it has it not.

    The image has the folder functions/ in its working directory, so functions/NAME/main.py is there, wherever the
    command runs.
    """
    folder = handler.resolve().parent
    return Path(FUNCTIONS, folder.name, handler.name) if folder.parent.name == FUNCTIONS else None
