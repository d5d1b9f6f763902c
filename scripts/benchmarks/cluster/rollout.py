"""`scalezero rollout` to the second version under steady load. No request may fail."""

from typing import Final

from knative.objects import Ref
from scripts.benchmarks.cluster.asking import background_load
from scripts.benchmarks.cluster.outcomes import Outcome, rollout
from scripts.benchmarks.cluster.payment import MODEL, V2, predict
from scripts.benchmarks.cluster.place import BenchNamespace

CALLERS: Final = 3
PAUSE_SECONDS: Final = 0.1  # about 30 requests per second in total
STEPS: Final = "75,100"  # percent; the split starts at 50
INTERVAL_SECONDS: Final = 5


def measure(namespace: BenchNamespace) -> Outcome:
    """Roll out while callers send requests to the Service."""
    service = Ref("Service", MODEL)
    with background_load(predict(namespace.url(service)), callers=CALLERS, pause=PAUSE_SECONDS) as load:
        namespace.scalezero("rollout", MODEL, "--to", V2, "--steps", STEPS, "--interval", str(INTERVAL_SECONDS))
    return rollout(load(), target=V2, done=namespace.share_of(service, V2) == 100)  # noqa: PLR2004 - percent
