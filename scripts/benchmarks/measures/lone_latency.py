"""What a lone caller waits for: batching must cost it nothing.

The floor is our own server with batches of one, on an idle core: it shares all that ours does but the company, so the
ratio holds batching alone. What it cannot show is a fault that both have; for that the bare floor, which has neither
batcher nor validation, deadlines and metrics, stands beside as `bare_us` and `bare_ratio` (ours / bare).
"""

import statistics
import tempfile
import time
from contextlib import ExitStack
from typing import Final

from scripts.benchmarks import launches
from scripts.benchmarks.client import check, line
from scripts.benchmarks.contest import in_turns
from scripts.benchmarks.figures import Figure, Pair, figure
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.measures.throughput import prepare
from scripts.benchmarks.servers import Launch, Server, running

REQUESTS: Final = 1000
PAUSE_SECONDS: Final = 0.001  # the server is idle again when the next request comes


def measure(lab: Lab) -> Figure:
    """Median microseconds of one request at a time over a kept connection."""
    with ExitStack() as stack:

        def start(launch: Launch) -> Server:
            server = stack.enter_context(running(launch, cpu=lab.server_cpu))
            prepare(server, lab.payment)
            return server

        def start_ours(**batching: str) -> Server:
            cache = stack.enter_context(tempfile.TemporaryDirectory())
            return start(launches.ours(lab.payment, str(lab.payment.path), cache, batching))

        batched, alone, bare = (
            start_ours(**launches.BATCHING),
            start_ours(**launches.UNBATCHED),
            start(launches.bare(lab.payment)),
        )
        against_itself = turns(lab, batched, alone)
        against_bare = figure("lone_latency", turns(lab, batched, bare))
        for server in (batched, alone, bare):
            server.resume()
            check(server, lab.payment)
    return figure("lone_latency", against_itself, {"bare_us": against_bare.floor, "bare_ratio": against_bare.ratio})


def turns(lab: Lab, ours: Server, floor: Server) -> list[Pair]:
    """Pairs of medians."""
    return in_turns(lab.guard, lab.rounds, ours=lambda: latency(ours, lab), floor=lambda: latency(floor, lab))


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
