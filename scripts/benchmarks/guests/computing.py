"""Prints the microseconds of one computation: `python -m scripts.benchmarks.guests.computing WHAT MODEL GUEST COUNT`.

WHAT is `guest` (its calls of compute), `predictor` (the floor: the event loop awaits each prediction) or `thread` (a
Python thread in place of the guest). The row is on stdin, as JSON. Each is warm before it is measured.
"""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import uvloop

from runtime.predictor import ReadyModel, predict
from runtime.service import Service, begin
from runtime.settings import settings_from
from runtime.tensors import Query
from runtime.wasi_nn import NnExtension
from runtime.wasi_nn.backend import ServiceBackend
from runtime.wasm import Limits
from runtime.wasm.code import compile_code
from runtime.wasm.guest import Call, Guest
from scripts.benchmarks.launches import BATCHING

NAME: Final = "model"
LIMITS: Final = Limits(seconds=300, memory=2**24, output=2**16)
WARM: Final = 0.2  # of the measured computations
Row = npt.NDArray[np.float32]


async def measure(what: str, model: Path, guest: Path, *, count: int, row: Row) -> float:
    """Return the microseconds of one computation, the mean of `count` after each other."""
    with tempfile.TemporaryDirectory() as cache:
        environ = {"SCALEZERO_MODEL_URI": str(model), "SCALEZERO_MODEL_NAME": NAME, "SCALEZERO_THREADS": "1"}
        settings = settings_from({**os.environ, **BATCHING, **environ, "SCALEZERO_CACHE_DIR": cache})
        service = Service(settings, process_started=0.0, starts=begin(settings))
        await service.open()
        backend = ServiceBackend(service, asyncio.get_running_loop())
        try:
            ready = await service.model(NAME).load()
            run = _contenders(ready, backend, guest, row)[what]
            await run(max(1, int(count * WARM)))
            return await run(count)
        finally:
            await backend.close()
            await service.close(within=1.0)


def _contenders(
    ready: ReadyModel, backend: ServiceBackend, path: Path, row: Row
) -> dict[str, Callable[[int], Awaitable[float]]]:
    guest = Guest(compile_code(path.read_bytes(), name=path.name), LIMITS, extensions=[lambda: NnExtension(backend)])

    async def in_guest(count: int) -> float:
        return float(await asyncio.to_thread(guest.run, Call(["compute", NAME, str(count)], [], row.tobytes())))

    async def on_loop(count: int) -> float:
        started = time.perf_counter()
        for _ in range(count):
            await predict(ready, Query([row]))
        return (time.perf_counter() - started) / count * 1e6

    def compute(count: int) -> float:
        graph = backend.load_by_name(NAME)
        started = time.perf_counter()
        for _ in range(count):
            backend.compute(graph, {0: row})
        return (time.perf_counter() - started) / count * 1e6

    async def in_thread(count: int) -> float:
        return await asyncio.to_thread(compute, count)

    return {"guest": in_guest, "predictor": on_loop, "thread": in_thread}


def main() -> None:
    """Measure one of the three."""
    what, model, guest, count = sys.argv[1:]
    row = np.array([json.load(sys.stdin)], np.float32)
    print(uvloop.run(measure(what, Path(model), Path(guest), count=int(count), row=row)))


if __name__ == "__main__":
    main()
