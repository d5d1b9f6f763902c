"""HTTP/2 compared with HTTP/1.1: the same server, the same client program, the same number of requests in flight.

Ours is one h2c connection with 1, 8 or 32 streams, as from Knative's queue-proxy. The floor is our own HTTP/1.1 with as
many connections. The ratio shows the cost of HTTP/2. A faster HTTP/1.1 raises the floor too.
"""

import tempfile
from collections.abc import Callable

from scripts.benchmarks import launches
from scripts.benchmarks.client import check_answers, wait_for_first_answer
from scripts.benchmarks.contest import measure_pairs
from scripts.benchmarks.figures import Figure, figure
from scripts.benchmarks.h2load import Post, Version, h2load
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.servers import running


def measure(name: str, *, concurrency: int) -> Callable[[Lab], Figure]:
    """Return the measurement for one number of requests in flight."""

    def http2(lab: Lab) -> Figure:
        with tempfile.TemporaryDirectory() as cache:
            launch = launches.ours(lab.payment, lab.payment_uri, cache, {**lab.s3, **launches.BATCHING})
            with running(launch, cpu=lab.server_cpu) as server:
                wait_for_first_answer(server, lab.payment)
                check_answers(server, lab.payment)

                def rate(version: Version) -> float:
                    post = Post(path=server.launch.path, body=lab.payment.body(0))
                    load = h2load(
                        server, post, version=version, concurrency=concurrency, seconds=lab.seconds, cpu=lab.load_cpu
                    )
                    return load.checked_rate

                pairs = measure_pairs(
                    lab.guard, lab.rounds, ours=lambda: rate(Version.H2C), floor=lambda: rate(Version.HTTP1)
                )
                check_answers(server, lab.payment)
        return figure(name, pairs)

    return http2
