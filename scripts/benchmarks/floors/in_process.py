"""The model without any server: what it answers, and how fast it is.

usage: python -m scripts.benchmarks.floors.in_process answers MODEL | rate MODEL BATCH ROWS

Both read rows (JSON) from stdin. `answers` prints the flat output of each (JSON), `rate` the rows per second over ROWS.

A process of its own, so that the libraries that it maps are not counted half in a server's proportional set size.
"""

import json
import sys
import time
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from scripts.benchmarks.floors.foundation import open_session

DTYPES = {"tensor(float)": np.float32, "tensor(int64)": np.int64}


def answers(session: ort.InferenceSession, rows: npt.NDArray[Any]) -> list[list[float]]:
    """The first output of each row, run one by one, flat."""
    name = session.get_inputs()[0].name
    return [session.run(None, {name: row[None]})[0].ravel().tolist() for row in rows]


def rate(session: ort.InferenceSession, rows: npt.NDArray[Any], *, batch: int, count: int) -> float:
    """Rows per second, after one batch that is not counted."""
    name = session.get_inputs()[0].name
    feed = {name: np.resize(rows, (batch, *rows.shape[1:]))}
    session.run(None, feed)
    runs = max(1, count // batch)
    start = time.perf_counter()
    for _ in range(runs):
        session.run(None, feed)
    return runs * batch / (time.perf_counter() - start)


def main() -> None:
    """Do one of the two."""
    verb, model, *numbers = sys.argv[1:]
    session = open_session(model)
    rows = np.array(json.load(sys.stdin), dtype=DTYPES[session.get_inputs()[0].type])
    if verb == "answers":
        print(json.dumps(answers(session, rows)))
    else:
        print(rate(session, rows, batch=int(numbers[0]), count=int(numbers[1])))


if __name__ == "__main__":
    main()
