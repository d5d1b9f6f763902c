"""A model as expensive as ResNet-50: the server may reduce ONNX Runtime's own rate by at most a twentieth.

The floor is the better of batches of 1 and of 8, in a process without a server. Ours gets requests from one caller and
from eight; the figure is the worse of the two. Meanwhile, /healthz/live is requested over new connections, as by a
kubelet.
"""

import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from http import HTTPStatus
from statistics import median, quantiles
from threading import Event
from typing import Final

from scripts.benchmarks import launches
from scripts.benchmarks.client import check_answers, keep_alive, send_request, wait_for_first_answer
from scripts.benchmarks.contest import measure_pairs
from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.figures import Figure, figure
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.servers import Server, running

CALLERS: Final = (1, 8)
BATCHES: Final = (1, 8)
ROWS: Final = 24  # per measurement; about two seconds
LIVE_EVERY_SECONDS: Final = 0.2  # a kubelet probes at most once per second, each time over a new connection
LIVE: Final = "/healthz/live"


def measure(lab: Lab) -> Figure:
    """Measure rows per second. `live_max_ms` and `live_p99_ms` are the waits for /healthz/live meanwhile."""
    with tempfile.TemporaryDirectory() as cache:
        launch = launches.ours(lab.heavy, str(lab.heavy.path), cache, launches.BATCHING)
        with running(launch, cpu=lab.server_cpu) as server:
            wait_for_first_answer(server, lab.heavy)
            check_answers(server, lab.heavy)
            comparison = Comparison(lab, server)
            figures = {callers: comparison.figure(callers) for callers in CALLERS}
            check_answers(server, lab.heavy)
    worst = min(figures.values(), key=lambda each: each.ratio)
    ratios = {f"ratio_c{callers}": each.ratio for callers, each in figures.items()}
    return replace(
        worst,
        disturbed=sum(each.disturbed for each in figures.values()),
        pairs=sum(each.pairs for each in figures.values()),
        extra={**ratios, **comparison.extra()},
    )


class Comparison:
    """One server compared with the model without a server, and the additional values."""

    def __init__(self, lab: Lab, server: Server) -> None:
        self._lab = lab
        self._server = server
        self._live_seconds: list[float] = []
        self._floors: dict[int, list[float]] = {batch: [] for batch in BATCHES}

    def figure(self, callers: int) -> Figure:
        """Measure one number of callers."""
        return figure(
            "heavy_model",
            measure_pairs(self._lab.guard, self._lab.rounds, ours=lambda: self._ours(callers), floor=self._floor),
        )

    def extra(self) -> dict[str, float]:
        """Return the waits for liveness, and the floor by batch size, which shows whether batching is slower."""
        waits = self._live_seconds
        live = {
            "live_max_ms": max(waits) * 1e3,
            "live_p99_ms": quantiles(waits, n=100, method="inclusive")[-1] * 1e3,
            "live_asked": len(waits),
        }
        return {**live, **{f"floor_batch{batch}": median(rates) for batch, rates in self._floors.items()}}

    def _ours(self, callers: int) -> float:
        with probe_liveness(self._server, self._live_seconds):
            return rate(self._server, self._lab, callers)

    def _floor(self) -> float:
        self._server.pause()
        try:
            rates = [self._in_process(batch) for batch in BATCHES]
        finally:
            self._server.resume()
        for batch, each in zip(BATCHES, rates, strict=True):
            self._floors[batch].append(each)
        return max(rates)

    def _in_process(self, batch: int) -> float:
        return float(self._lab.in_process("rate", self._lab.heavy.path, self._lab.heavy.rows, batch, ROWS))


def rate(server: Server, lab: Lab, callers: int) -> float:
    """Return rows per second from the first request to the last answer. Each caller has one request in flight."""

    def call(index: int) -> None:
        with keep_alive(server, lab.heavy, index % len(lab.heavy.rows)) as caller:
            for _ in range(ROWS // callers):
                caller.send()

    start = time.perf_counter()
    with ThreadPoolExecutor(callers) as pool:
        list(pool.map(call, range(callers)))
    return (ROWS // callers) * callers / (time.perf_counter() - start)


@contextmanager
def probe_liveness(server: Server, waits: list[float]) -> Iterator[None]:
    """Probe liveness while the block runs, and append the seconds of each answer to `waits`."""
    stopped = Event()

    def probe() -> None:
        while not stopped.wait(LIVE_EVERY_SECONDS):
            start = time.perf_counter()
            reply = send_request(server, "GET", LIVE)
            waits.append(time.perf_counter() - start)
            if reply.status != HTTPStatus.OK:
                raise CannotMeasure(f"{LIVE} answered {reply.status} {reply.text[:200]!r}")

    with ThreadPoolExecutor(1) as pool:
        probing = pool.submit(probe)
        try:
            yield
        finally:
            stopped.set()
        probing.result()
