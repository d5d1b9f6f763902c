"""What the cluster holds of what is wanted: reads only, for `plan`."""

from collections.abc import Iterable, Iterator, Mapping

from knative.api.client import Cluster
from knative.manifests import Step
from knative.objects import Manifest, Ref, ref_of


def observe(cluster: Cluster, steps: Iterable[Step]) -> Mapping[Ref, Manifest]:
    """Read the steps' objects, the revisions that they make and those that they need, as far as they are there.

    Raises `KnativeMissing`, `Forbidden`, `ClusterUnreachable`.
    """
    refs = dict.fromkeys(ref for step in steps for ref in _refs(step))
    return {ref: found for ref in refs if (found := cluster.get(ref)) is not None}


def _refs(step: Step) -> Iterator[Ref]:
    yield ref_of(step.manifest)
    yield from (Ref("Revision", name) for name in (step.makes, *step.needs) if name)
