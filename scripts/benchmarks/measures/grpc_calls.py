"""Unary gRPC calls: 32 streams of one h2c connection, on one core, each with one row.

grpc_ml_v1 and grpc_v2 stand beside the predict API of the same server over the same h2c: what gRPC's framing, protobuf
and trailers cost. grpc_peer stands beside a server made of grpcio's asyncio API.

h2load does not see a call's status, which is in the trailers. A call that fails has no message, so the bytes of all
answers say that each had one; besides, every row is called for before and after, and our metrics may count no error.
"""

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from scripts.benchmarks import launches
from scripts.benchmarks.client import check, first_right_answer
from scripts.benchmarks.contest import in_turns
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


def beside_predict(name: str, method: Method) -> Callable[[Lab], Figure]:
    """The measure of one method, beside the predict API over h2c."""

    def measure(lab: Lab) -> Figure:
        with ours(lab) as server:
            post = Post(path=server.launch.path, body=lab.payment.body(0))
            calls = Calls(lab, server, method)
            pairs = in_turns(
                lab.guard, lab.rounds, ours=calls.rate, floor=lambda: loaded(lab, server, post).checked_rate
            )
            calls.check()
            check(server, lab.payment)
        return figure(name, pairs)

    return measure


def beside_grpcio(lab: Lab) -> Figure:
    """The measure of ml.v1's Predict beside grpcio. Both servers are up; the one that is not measured stands still."""
    with ours(lab) as server, running(launches.grpc_asyncio(lab.payment), cpu=lab.server_cpu) as other:
        both = [Calls(lab, each, ML_V1) for each in (server, other)]
        pairs = in_turns(lab.guard, lab.rounds, ours=both[0].rate_alone, floor=both[1].rate_alone)
        for calls in both:
            calls.server.resume()
            calls.check()
    return figure("grpc_peer", pairs)


@contextmanager
def ours(lab: Lab) -> Iterator[Server]:
    """Our server with the payment model, once it answers."""
    with tempfile.TemporaryDirectory() as cache:
        launch = launches.ours(lab.payment, lab.payment_uri, cache, {**lab.s3, **launches.BATCHING})
        with running(launch, cpu=lab.server_cpu) as server:
            first_right_answer(server, lab.payment)
            check(server, lab.payment)
            yield server
            if failed := failures(server):
                raise CannotMeasure(f"{launch.label} counted failed requests: {json.dumps(failed)}")


class Calls:
    """One method of one server, which answers it rightly."""

    def __init__(self, lab: Lab, server: Server, method: Method) -> None:
        self.server = server
        self._lab = lab
        self._method = method
        self._size = len(framed(self.check()))
        body = framed(method.request(lab.payment, lab.payment.rows[0]))
        self._post = Post(path=method.path, body=body, headers=HEADERS)

    def check(self) -> bytes:
        """Call for all rows; return the message that answers the first. Raises CannotMeasure on a wrong answer."""
        return check_calls(self.server, self._lab.payment, self._method)

    def rate(self) -> float:
        """Calls per second. Raises CannotMeasure where one of them had no message."""
        return answered_rate(loaded(self._lab, self.server, self._post), self._size)

    def rate_alone(self) -> float:
        """The same, of a server that stands still before and afterwards."""
        self.server.resume()
        rate = self.rate()
        self.server.pause()
        return rate


def loaded(lab: Lab, server: Server, post: Post) -> Outcome:
    """Load the server over one h2c connection."""
    return h2load(server, post, version=Version.H2C, at_once=STREAMS, seconds=lab.seconds, cpu=lab.load_cpu)


def answered_rate(outcome: Outcome, size: int) -> float:
    """Calls per second, each of which had an answer of `size` bytes. Raises CannotMeasure where one had not.

    Of the calls that were on their way at the beginning and at the end, data and success may be counted apart.
    """
    rate = outcome.checked_rate
    if abs(outcome.data - outcome.succeeded * size) > STREAMS * size:
        expected = f"{outcome.succeeded} of {size} bytes, as each with grpc-status 0 has"
        raise CannotMeasure(f"h2load: answers of {outcome.data} bytes in all; expected {expected}")
    return rate
