"""LitServe: an API process and an inference process; the rows of one timeout are one list."""

# mypy: disable-error-code="import-not-found,misc"
import os
import sys
from typing import Any

import litserve
import numpy as np
import numpy.typing as npt

from scripts.benchmarks.floors.foundation import open_session


class Scorer(litserve.LitAPI):
    """`{"inputs": row}` -> `{"outputs": row}`."""

    def setup(self, device: str) -> None:  # noqa: ARG002 - LitServe's signature
        """Open the session in the inference process."""
        self.session = open_session(os.environ["MODEL"])
        self.name = self.session.get_inputs()[0].name

    def decode_request(self, request: dict[str, Any]) -> npt.NDArray[np.float32]:
        """One row."""
        return np.array(request["inputs"], dtype=np.float32)

    def predict(self, x: npt.NDArray[np.float32]) -> Any:  # noqa: ANN401 - LitServe's
        """Score a batch, which LitServe stacks and takes apart again, or a row where batches are off."""
        return self.session.run(None, {self.name: np.atleast_2d(x)})[0]

    def encode_response(self, output: npt.NDArray[np.float32]) -> dict[str, Any]:
        """One row's answer."""
        return {"outputs": output.tolist()}


if __name__ == "__main__":  # it spawns its processes, which import this file again
    api = Scorer(max_batch_size=int(os.environ["MAX_BATCH"]), batch_timeout=int(os.environ["MAX_WAIT_MS"]) / 1000)
    litserve.LitServer(api, accelerator="cpu").run(
        host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="warning"
    )
