"""BentoML: one worker. Its batcher decides how long to wait; max_latency_ms, a deadline, has its default."""

# mypy: disable-error-code="import-not-found,untyped-decorator"
import os

import bentoml
import numpy as np

from scripts.benchmarks.floors.foundation import open_session


@bentoml.service(workers=1, logging={"access": {"enabled": False}})
class Scorer:
    """`{"inputs": [row]}` -> `[row]`."""

    def __init__(self) -> None:
        self.session = open_session(os.environ["MODEL"])
        self.name = self.session.get_inputs()[0].name

    @bentoml.api(batchable=True, max_batch_size=int(os.environ["MAX_BATCH"]))
    def score(self, inputs: np.ndarray) -> np.ndarray:
        """Score a batch, which BentoML joins along the first axis."""
        scores: np.ndarray = self.session.run(None, {self.name: inputs.astype(np.float32)})[0]
        return scores
