"""Runs the model without a server: its answers, and its speed.

usage: python -m scripts.benchmarks.floors.in_process answers MODEL | rate MODEL BATCH ROWS | cpu MODEL BATCH ROWS

Each command reads rows (JSON, each flat) from stdin. `answers` prints the flat output of each row (JSON), `rate` the
rows per second over ROWS rows, `cpu` the CPU seconds of one row.

It runs in its own process. Otherwise the libraries that it maps would reduce a server's proportional set size.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from scripts.benchmarks.floors.foundation import open_session

DTYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64}


def answers(session: ort.InferenceSession, rows: npt.NDArray[Any]) -> list[list[float]]:
    """Return the flat first output of each row, run one by one."""
    name = session.get_inputs()[0].name
    return [session.run(None, {name: row[None]})[0].ravel().tolist() for row in rows]


def cost(
    session: ort.InferenceSession, rows: npt.NDArray[Any], *, batch: int, count: int, clock: Callable[[], float]
) -> float:
    """Return the seconds of one row by this clock, after one batch that is not counted."""
    name = session.get_inputs()[0].name
    feed = {name: np.resize(rows, (batch, *rows.shape[1:]))}
    session.run(None, feed)
    runs = max(1, count // batch)
    start = clock()
    for _ in range(runs):
        session.run(None, feed)
    return (clock() - start) / (runs * batch)


def main() -> None:
    """Run one of the three commands."""
    verb, model, *numbers = sys.argv[1:]
    session = open_session(model)
    given = session.get_inputs()[0]
    rows = np.array(json.load(sys.stdin), dtype=DTYPES[given.type]).reshape(-1, *given.shape[1:])
    if verb == "answers":
        print(json.dumps(answers(session, rows)))
        return
    clock = time.process_time if verb == "cpu" else time.perf_counter
    seconds = cost(session, rows, batch=int(numbers[0]), count=int(numbers[1]), clock=clock)
    print(seconds if verb == "cpu" else 1 / seconds)


if __name__ == "__main__":
    main()
