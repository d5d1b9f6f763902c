"""HTTP/2 beside HTTP/1.1: the same server, the same client program, the same number of requests on their way.

Ours is one h2c connection with 1, 8 or 32 streams, as Knative's queue-proxy holds one. The floor is our own HTTP/1.1
with as many connections. The ratio shows what HTTP/2 costs; a faster HTTP/1.1 raises the floor too.
"""

import tempfile
from collections.abc import Callable

from scripts.benchmarks import launches
from scripts.benchmarks.client import check, first_right_answer
from scripts.benchmarks.contest import in_turns
from scripts.benchmarks.figures import Figure, figure
from scripts.benchmarks.h2load import Post, Version, h2load
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.servers import running


def measure(name: str, *, at_once: int) -> Callable[[Lab], Figure]:
    """The measure of one number of requests on their way."""

    def http2(lab: Lab) -> Figure:
        with tempfile.TemporaryDirectory() as cache:
            launch = launches.ours(lab.payment, lab.payment_uri, cache, {**lab.s3, **launches.BATCHING})
            with running(launch, cpu=lab.server_cpu) as server:
                first_right_answer(server, lab.payment)
                check(server, lab.payment)

                def rate(version: Version) -> float:
                    post = Post(path=server.launch.path, body=lab.payment.body(0))
                    load = h2load(server, post, version=version, at_once=at_once, seconds=lab.seconds, cpu=lab.load_cpu)
                    return load.checked_rate

                pairs = in_turns(
                    lab.guard, lab.rounds, ours=lambda: rate(Version.H2C), floor=lambda: rate(Version.HTTP1)
                )
                check(server, lab.payment)
        return figure(name, pairs)

    return http2
