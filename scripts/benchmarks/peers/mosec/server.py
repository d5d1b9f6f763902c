"""Mosec: one worker process behind its Rust server; the rows of one wait are one list."""

# mypy: disable-error-code="import-not-found,misc"
import os
from typing import Any

import numpy as np
from mosec import Server, Worker

from scripts.benchmarks.floors.foundation import open_session

MAX_BATCH = int(os.environ["MAX_BATCH"])


class Scorer(Worker):
    """`{"inputs": row}` -> `{"outputs": row}`."""

    def __init__(self) -> None:
        self.session = open_session(os.environ["MODEL"])
        self.name = self.session.get_inputs()[0].name

    def forward(self, data: Any) -> Any:  # noqa: ANN401 - a list of requests, or one where batches are off
        """Score what Mosec collected."""
        requests = data if MAX_BATCH > 1 else [data]
        rows = np.array([request["inputs"] for request in requests], dtype=np.float32)
        answers = [{"outputs": scores} for scores in self.session.run(None, {self.name: rows})[0].tolist()]
        return answers if MAX_BATCH > 1 else answers[0]


if __name__ == "__main__":  # it spawns its workers, which import this file again
    server = Server()
    server.append_worker(Scorer, max_batch_size=MAX_BATCH, max_wait_time=int(os.environ["MAX_WAIT_MS"]))
    server.run()
