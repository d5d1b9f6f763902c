"""Read the cluster's objects that a plan compares."""

from collections.abc import Iterator, Mapping, Sequence

from knative.api.client import Cluster
from knative.manifests import Step
from knative.objects import SERVICE_LABEL, Manifest, Ref, ref_of


def observe(cluster: Cluster, steps: Sequence[Step]) -> Mapping[Ref, Manifest]:
    """Read the objects of the steps, all revisions of their models, and the revisions that they need, if they exist.

    Raises `KnativeMissing`, `Forbidden`, `ClusterUnreachable`.
    """
    refs = dict.fromkeys(ref for step in steps for ref in _refs(step))
    models = dict.fromkeys(step.manifest["metadata"]["name"] for step in steps if step.makes)
    revisions = [each for model in models for each in cluster.list("Revision", labels={SERVICE_LABEL: model})]
    found = {ref_of(each): each for each in revisions}
    return found | {ref: each for ref in refs if ref not in found and (each := cluster.get(ref)) is not None}


def _refs(step: Step) -> Iterator[Ref]:
    yield ref_of(step.manifest)
    yield from (Ref("Revision", name) for name in (step.makes, *step.needs) if name)
