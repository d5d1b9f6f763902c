"""The latency of a single caller on an idle core, compared with a server that validates nothing.

The floor has no batcher, no validation, no deadlines and no metrics. The ratio shows the cost of these in ours.
"""

import statistics
import tempfile
import time
from typing import Final

from scripts.benchmarks import launches
from scripts.benchmarks.client import check_answers, keep_alive
from scripts.benchmarks.contest import measure_pairs
from scripts.benchmarks.figures import Figure, figure
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.measures.throughput import prepare
from scripts.benchmarks.servers import Server, running

REQUESTS: Final = 1000
PAUSE_SECONDS: Final = 0.001  # the server is idle again before the next request


def measure(lab: Lab) -> Figure:
    """Measure the median microseconds of one request at a time over a keep-alive connection."""
    with tempfile.TemporaryDirectory() as cache:
        launch = launches.ours(lab.payment, str(lab.payment.path), cache, launches.BATCHING)
        bare = launches.bare(lab.payment)
        with running(launch, cpu=lab.server_cpu) as ours, running(bare, cpu=lab.server_cpu) as floor:
            for server in (ours, floor):
                prepare(server, lab.payment)
            pairs = measure_pairs(
                lab.guard, lab.rounds, ours=lambda: latency(ours, lab), floor=lambda: latency(floor, lab)
            )
            for server in (ours, floor):
                server.resume()
                check_answers(server, lab.payment)
    return figure("lone_latency", pairs)


def latency(server: Server, lab: Lab) -> float:
    """Return the median microseconds of a request to a server that is paused before and afterwards."""
    server.resume()
    waits = []
    with keep_alive(server, lab.payment, 0) as caller:
        for _ in range(REQUESTS):
            time.sleep(PAUSE_SECONDS)
            start = time.perf_counter()
            caller.send()
            waits.append(time.perf_counter() - start)
    server.pause()
    return statistics.median(waits) * 1e6
