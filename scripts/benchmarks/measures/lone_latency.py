"""What a lone caller waits for on an idle core, beside a server that validates nothing.

The floor has no batcher, no validation, no deadlines and no metrics. The ratio shows what ours does on top of it.
"""

import statistics
import tempfile
import time
from typing import Final

from scripts.benchmarks import launches
from scripts.benchmarks.client import check, line
from scripts.benchmarks.contest import in_turns
from scripts.benchmarks.figures import Figure, figure
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.measures.throughput import prepare
from scripts.benchmarks.servers import Server, running

REQUESTS: Final = 1000
PAUSE_SECONDS: Final = 0.001  # the server is idle again when the next request comes


def measure(lab: Lab) -> Figure:
    """Median microseconds of one request at a time over a kept connection."""
    with tempfile.TemporaryDirectory() as cache:
        launch = launches.ours(lab.payment, str(lab.payment.path), cache, launches.BATCHING)
        bare = launches.bare(lab.payment)
        with running(launch, cpu=lab.server_cpu) as ours, running(bare, cpu=lab.server_cpu) as floor:
            for server in (ours, floor):
                prepare(server, lab.payment)
            pairs = in_turns(lab.guard, lab.rounds, ours=lambda: latency(ours, lab), floor=lambda: latency(floor, lab))
            for server in (ours, floor):
                server.resume()
                check(server, lab.payment)
    return figure("lone_latency", pairs)


def latency(server: Server, lab: Lab) -> float:
    """Median microseconds of a server that stood still, and does so again afterwards."""
    server.resume()
    waits = []
    with line(server, lab.payment, 0) as caller:
        for _ in range(REQUESTS):
            time.sleep(PAUSE_SECONDS)
            start = time.perf_counter()
            caller.ask()
            waits.append(time.perf_counter() - start)
    server.pause()
    return statistics.median(waits) * 1e6
