"""A bounded burst on a function that is at zero: pods come, and no request is lost on the way."""

import time
from typing import Final

from knative.objects import Ref
from scripts.benchmarks.cluster.asking import asking
from scripts.benchmarks.cluster.functions import BURST, burst_function
from scripts.benchmarks.cluster.outcomes import Outcome, scale_out
from scripts.benchmarks.cluster.payment import predict
from scripts.benchmarks.cluster.place import POLL_SECONDS, Place

CALLERS: Final = 8
SECONDS: Final = 20.0
PAUSE_SECONDS: Final = 0.001
ROWS: Final = 200  # a request: it keeps a pod busy for longer than it is on its way
REVISION: Final = f"{BURST}-v1"


def measure(place: Place) -> Outcome:
    """Ask as fast as answers come, and watch the pods."""
    place.deploy_files(BURST, burst_function(place.image))
    place.wait_for_zero(REVISION)
    request = predict(place.url(Ref("Service", BURST)), model=BURST, rows=ROWS)
    with asking(request, callers=CALLERS, pause=PAUSE_SECONDS) as load:
        pods = _watch(place, SECONDS)
    return scale_out(load(), pods=pods)


def _watch(place: Place, seconds: float) -> list[tuple[float, int]]:
    """The seconds at which the number of ready pods changed, and to what."""
    start, seen = time.monotonic(), [(0.0, 0)]
    while (at := time.monotonic() - start) < seconds:
        count = place.ready_pods(REVISION)
        if count != seen[-1][1]:
            seen.append((at, count))
        time.sleep(POLL_SECONDS)
    return seen
