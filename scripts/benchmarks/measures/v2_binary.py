"""The cost of a binary image request of the Open Inference Protocol, compared with the model itself.

It is the server's CPU time per request for ResNet-50 (3 x 224 x 224 float32 numbers after a JSON header), from eight
connections. The floor is the CPU time of a row in a process without a server, in batches of 1 or 8, whichever is less.
"""

import socket
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from http import HTTPStatus
from typing import Final

from scripts.benchmarks import binary_tensors, launches, resnet
from scripts.benchmarks.client import ANSWER_SECONDS, KeepAliveConnection, send_request, wait_until_correct
from scripts.benchmarks.contest import measure_pairs
from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.figures import Figure, figure
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.servers import Server, running

CALLERS: Final = 8
BATCHES: Final = (1, 8)
ROWS: Final = 24  # per measurement; about two seconds
WARM_ROUNDS: Final = 2  # not counted: the server measures the cost of batches, and compares their rows with single ones


def measure(lab: Lab) -> Figure:
    """Measure milliseconds of CPU time per request."""
    with tempfile.TemporaryDirectory() as cache:
        launch = launches.ours(lab.resnet, str(lab.resnet.path), cache, launches.BATCHING)
        with running(launch, cpu=lab.server_cpu) as server:
            images = Images(lab, server)
            wait_until_correct(server, lambda: images.error(0))
            images.check()
            for _ in range(WARM_ROUNDS):
                images.cost()
            pairs = measure_pairs(lab.guard, lab.rounds, ours=images.cost, floor=images.floor)
            images.check()
    return figure("v2_binary", pairs)


class Images:
    """The server, and the requests for each row."""

    def __init__(self, lab: Lab, server: Server) -> None:
        self._lab = lab
        self._server = server
        subject = lab.resnet
        self._path = f"/v2/models/{subject.name}/infer"
        self._requests = [binary_tensors.request(subject.input_name, row, resnet.SHAPE) for row in subject.rows]

    def check(self) -> None:
        """Send each row. Raises CannotMeasure if an answer is not the model's."""
        for index in range(len(self._requests)):
            if found := self.error(index):
                raise CannotMeasure(f"{self._path}: {found}")

    def error(self, index: int) -> str | None:
        """Return what is wrong with the answer to a row, or None."""
        request = self._requests[index]
        reply = send_request(self._server, "POST", self._path, request.body, headers=request.headers)
        got: list[float] = []
        with suppress(ValueError, LookupError):
            got = binary_tensors.outputs(reply.headers, reply.text)
        right = reply.status == HTTPStatus.OK and self._lab.resnet.is_correct(index, got)
        return None if right else f"row {index}: {reply.status} {reply.text[:200]!r}"

    def cost(self) -> float:
        """Return milliseconds of the server's CPU time per request. Each caller has one request in flight."""

        def call(index: int) -> None:
            with self._connect(index % len(self._requests)) as caller:
                for _ in range(ROWS // CALLERS):
                    caller.send()

        before = self._server.cpu_seconds()
        with ThreadPoolExecutor(CALLERS) as pool:
            list(pool.map(call, range(CALLERS)))
        return (self._server.cpu_seconds() - before) * 1e3 / ROWS

    def floor(self) -> float:
        """Return milliseconds of CPU time of one row, without a server."""
        subject = self._lab.resnet
        self._server.pause()
        try:
            costs = [self._lab.in_process("cpu", subject.path, subject.rows, batch, ROWS) for batch in BATCHES]
        finally:
            self._server.resume()
        return min(map(float, costs)) * 1e3

    @contextmanager
    def _connect(self, index: int) -> Iterator[KeepAliveConnection]:
        request = self._requests[index]
        headers = {"host": f"127.0.0.1:{self._server.port}", **request.headers, "content-length": len(request.body)}
        lines = [f"POST {self._path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        with socket.create_connection(("127.0.0.1", self._server.port), timeout=ANSWER_SECONDS) as connection:
            yield KeepAliveConnection(connection, "\r\n".join(lines).encode() + request.body)
