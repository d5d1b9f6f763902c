"""From a verb's flags to what is wanted, where, and what is there: the first half of plan, apply and deploy."""

from pathlib import Path
from typing import NamedTuple

from knative.api.client import Cluster
from knative.commands.options import options_for
from knative.deploying.observe import observe
from knative.deploying.plan import Plan, plan
from knative.function.options import Flags
from knative.manifests import Deployment, desired
from knative.objects import Manifest, Ref
from knative.resources import Resources, read_resources


class Intent(NamedTuple):
    """What is wanted of a cluster, what it has, and the way from the one to the other."""

    cluster: Cluster
    resources: Resources
    observed: dict[Ref, Manifest]
    plan: Plan


class Wish(NamedTuple):
    """What is wanted, and the namespace that it is wanted in."""

    cluster: Cluster
    resources: Resources
    options: Deployment


def wish(paths: tuple[Path, ...], flags: Flags, *, context: str | None) -> Wish:
    """Read the files and find their namespace, which must be there. Raises what reading and the cluster raise."""
    resources = read_resources(*paths)
    cluster = Cluster(context=context, namespace=flags.namespace)
    options = options_for(paths, resources, flags, namespace=cluster.namespace)
    cluster = cluster.within(options.namespace)
    cluster.see_namespace()
    return Wish(cluster, resources, options)


def intent(paths: tuple[Path, ...], flags: Flags, *, context: str | None, force: bool) -> Intent:
    """Read the files, look at the cluster, plan. Changes nothing. Raises what reading and the cluster raise."""
    cluster, resources, options = wish(paths, flags, context=context)
    steps = desired(resources, options)
    observed = dict(observe(cluster, steps))
    return Intent(cluster, resources, observed, plan(steps, observed, force=force))
