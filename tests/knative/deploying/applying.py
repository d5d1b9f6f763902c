"""Planning and applying on a fake cluster, as `scalezero apply` does."""

from knative.deploying.apply import carry_out
from knative.deploying.observe import observe
from knative.deploying.plan import plan
from knative.manifests import DeploymentOptions, Step, desired
from tests.knative.documents import read
from tests.knative.fake_cluster import FakeCluster

OPTIONS = DeploymentOptions(image="scalezero:0.1")


def steps(*documents: str) -> tuple[Step, ...]:
    return desired(read(*documents), OPTIONS)


def apply_steps(cluster: FakeCluster, wanted: tuple[Step, ...], *, seconds: float = 60.0) -> list[str]:
    """Plan and apply as `scalezero apply` does, and return the progress lines."""
    lines: list[str] = []
    observed = observe(cluster, wanted)
    carry_out(
        plan(wanted, observed), observed, cluster, force=False, seconds=seconds, tell=lines.append, clock=cluster.clock
    )
    return lines
