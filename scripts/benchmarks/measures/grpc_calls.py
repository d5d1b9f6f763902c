"""Unary gRPC calls: 32 streams of one h2c connection, on one core, each with one row.

grpc_ml_v1 and grpc_v2 are compared with the predict API of the same server over the same h2c: the ratio shows the cost
of gRPC's framing, protobuf and trailers. grpc_peer is compared with a server on grpcio's asyncio API.

h2load does not read the status of a call, which is in the trailers. A failed call has no message, so the total size of
the answers shows whether each call had one. In addition, every row is checked before and after the load, and our
metrics must count no error.
"""

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from scripts.benchmarks import launches
from scripts.benchmarks.client import check_answers, wait_for_first_answer
from scripts.benchmarks.contest import measure_pairs
from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.figures import Figure, figure
from scripts.benchmarks.grpc_client import check_calls
from scripts.benchmarks.grpc_methods import CONTENT_TYPE, ML_V1, Method, framed
from scripts.benchmarks.h2load import Outcome, Post, Version, h2load
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.metrics import failures
from scripts.benchmarks.servers import Server, running

STREAMS: Final = 32
HEADERS: Final = (f"content-type: {CONTENT_TYPE}", "te: trailers")


def compare_with_predict(name: str, method: Method) -> Callable[[Lab], Figure]:
    """Return the measurement of one method, compared with the predict API over h2c."""

    def measure(lab: Lab) -> Figure:
        with ours(lab) as server:
            post = Post(path=server.launch.path, body=lab.payment.body(0))
            calls = Calls(lab, server, method)
            pairs = measure_pairs(
                lab.guard, lab.rounds, ours=calls.rate, floor=lambda: loaded(lab, server, post).checked_rate
            )
            calls.check()
            check_answers(server, lab.payment)
        return figure(name, pairs)

    return measure


def compare_with_grpcio(lab: Lab) -> Figure:
    """Measure ml.v1's Predict compared with grpcio. Both servers run; the one that is not measured is paused."""
    with ours(lab) as server, running(launches.grpc_asyncio(lab.payment), cpu=lab.server_cpu) as other:
        both = [Calls(lab, each, ML_V1) for each in (server, other)]
        pairs = measure_pairs(lab.guard, lab.rounds, ours=both[0].rate_alone, floor=both[1].rate_alone)
        for calls in both:
            calls.server.resume()
            calls.check()
    return figure("grpc_peer", pairs)


@contextmanager
def ours(lab: Lab) -> Iterator[Server]:
    """Start our server with the payment model and wait for its answers. Raises CannotMeasure for failed requests."""
    with tempfile.TemporaryDirectory() as cache:
        launch = launches.ours(lab.payment, lab.payment_uri, cache, {**lab.s3, **launches.BATCHING})
        with running(launch, cpu=lab.server_cpu) as server:
            wait_for_first_answer(server, lab.payment)
            check_answers(server, lab.payment)
            yield server
            if failed := failures(server):
                raise CannotMeasure(f"{launch.label} counted failed requests: {json.dumps(failed)}")


class Calls:
    """Calls of one method of one server, which is checked first."""

    def __init__(self, lab: Lab, server: Server, method: Method) -> None:
        self.server = server
        self._lab = lab
        self._method = method
        self._size = len(framed(self.check()))
        body = framed(method.request(lab.payment, lab.payment.rows[0]))
        self._post = Post(path=method.path, body=body, headers=HEADERS)

    def check(self) -> bytes:
        """Call the method for all rows; return the answer to the first. Raises CannotMeasure for a wrong answer."""
        return check_calls(self.server, self._lab.payment, self._method)

    def rate(self) -> float:
        """Return the calls per second. Raises CannotMeasure if an answer had no message."""
        return answered_rate(loaded(self._lab, self.server, self._post), self._size)

    def rate_alone(self) -> float:
        """Return the calls per second of a server that is paused before and afterwards."""
        self.server.resume()
        rate = self.rate()
        self.server.pause()
        return rate


def loaded(lab: Lab, server: Server, post: Post) -> Outcome:
    """Load the server over one h2c connection."""
    return h2load(server, post, version=Version.H2C, concurrency=STREAMS, seconds=lab.seconds, cpu=lab.load_cpu)


def answered_rate(outcome: Outcome, size: int) -> float:
    """Return the calls per second. Raises CannotMeasure unless each call had an answer of `size` bytes.

    For calls in flight at the start and at the end, h2load may count only the data or only the success.
    """
    rate = outcome.checked_rate
    if abs(outcome.data - outcome.succeeded * size) > STREAMS * size:
        expected = f"{outcome.succeeded} of {size} bytes, the size of an answer with grpc-status 0"
        raise CannotMeasure(f"h2load: got answers of {outcome.data} bytes in total; expected {expected}")
    return rate
