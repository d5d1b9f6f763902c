"""A model as heavy as ResNet-50: the server may cost no more than a twentieth of ONNX Runtime's own rate.

The floor is the better of batches of 1 and of 8 in a process without a server. Ours is asked by one caller and by
eight; the figure is the worse of the two. Meanwhile /healthz/live is asked as a kubelet would, over new connections.
"""

import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from statistics import quantiles
from threading import Event
from typing import Final

from scripts.benchmarks import launches
from scripts.benchmarks.client import ask, check, first_right_answer, line
from scripts.benchmarks.contest import in_turns
from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.figures import Figure, figure
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.servers import Server, running

CALLERS: Final = (1, 8)
BATCHES: Final = (1, 8)
ROWS: Final = 24  # per measurement; some two seconds
LIVE_EVERY_SECONDS: Final = 0.05
LIVE: Final = "/healthz/live"


def measure(lab: Lab) -> Figure:
    """Rows per second; `live_max_ms` and `live_p99_ms` are how long /healthz/live took meanwhile."""
    with tempfile.TemporaryDirectory() as cache:
        launch = launches.ours(lab.heavy, str(lab.heavy.path), cache, launches.BATCHING)
        with running(launch, cpu=lab.server_cpu) as server:
            first_right_answer(server, lab.heavy)
            check(server, lab.heavy)
            waits: list[float] = []
            figures = [_against_floor(lab, server, callers, waits) for callers in CALLERS]
            check(server, lab.heavy)
    worst = min(figures, key=lambda each: each.ratio)
    ratios = {f"ratio_c{callers}": each.ratio for callers, each in zip(CALLERS, figures, strict=True)}
    live = {"live_max_ms": max(waits) * 1e3, "live_p99_ms": quantiles(waits, n=100)[-1] * 1e3, "live_asked": len(waits)}
    return Figure(
        name=worst.name,
        ours=worst.ours,
        floor=worst.floor,
        ratio=worst.ratio,
        disturbed=sum(each.disturbed for each in figures),
        pairs=sum(each.pairs for each in figures),
        extra={**ratios, **live},
    )


def _against_floor(lab: Lab, server: Server, callers: int, waits: list[float]) -> Figure:
    def ours() -> float:
        with asking_live(server, waits):
            return rate(server, lab, callers)

    def floor() -> float:
        server.pause()
        try:
            return max(float(lab.in_process("rate", lab.heavy.path, lab.heavy.rows, batch, ROWS)) for batch in BATCHES)
        finally:
            server.resume()

    return figure("heavy_model", in_turns(lab.guard, lab.rounds, ours=ours, floor=floor))


def rate(server: Server, lab: Lab, callers: int) -> float:
    """Rows per second from the first request to the last answer, each caller with one request on its way."""

    def call(index: int) -> None:
        with line(server, lab.heavy, index % len(lab.heavy.rows)) as caller:
            for _ in range(ROWS // callers):
                caller.ask()

    start = time.perf_counter()
    with ThreadPoolExecutor(callers) as pool:
        list(pool.map(call, range(callers)))
    return (ROWS // callers) * callers / (time.perf_counter() - start)


@contextmanager
def asking_live(server: Server, waits: list[float]) -> Iterator[None]:
    """Ask for liveness all the while, and note the seconds that each answer took."""
    over = Event()

    def go_on() -> None:
        while not over.wait(LIVE_EVERY_SECONDS):
            start = time.perf_counter()
            reply = ask(server, "GET", LIVE)
            waits.append(time.perf_counter() - start)
            if reply.status != 200:
                raise CannotMeasure(f"{LIVE} answered {reply.status} {reply.text[:200]!r}")

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(go_on)
        try:
            yield
        finally:
            over.set()
        asking.result()
