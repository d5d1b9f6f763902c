"""A bounded burst on a function that is scaled to zero: pods start, and no request fails."""

import time
from typing import Final

from knative.objects import Ref
from scripts.benchmarks.cluster.asking import background_load
from scripts.benchmarks.cluster.functions import BURST, burst_function
from scripts.benchmarks.cluster.outcomes import Outcome, scale_out
from scripts.benchmarks.cluster.payment import predict
from scripts.benchmarks.cluster.place import POLL_SECONDS, BenchNamespace

CALLERS: Final = 8
SECONDS: Final = 20.0
PAUSE_SECONDS: Final = 0.001
ROWS: Final = 200  # per request, so that the pod's work takes longer than the transport
REVISION: Final = f"{BURST}-v1"


def measure(namespace: BenchNamespace) -> Outcome:
    """Send requests as fast as they are answered, and watch the pods."""
    namespace.deploy_files(BURST, burst_function(namespace.image))
    namespace.wait_for_zero(REVISION)
    request = predict(namespace.url(Ref("Service", BURST)), model=BURST, rows=ROWS)
    with background_load(request, callers=CALLERS, pause=PAUSE_SECONDS) as load:
        pods = _watch(namespace, SECONDS)
    return scale_out(load(), pods=pods)


def _watch(namespace: BenchNamespace, seconds: float) -> list[tuple[float, int]]:
    """Return each change of the number of ready pods: the time in seconds, and the new number."""
    start, changes = time.monotonic(), [(0.0, 0)]
    while (at := time.monotonic() - start) < seconds:
        count = namespace.ready_pods(REVISION)
        if count != changes[-1][1]:
            changes.append((at, count))
        time.sleep(POLL_SECONDS)
    return changes
