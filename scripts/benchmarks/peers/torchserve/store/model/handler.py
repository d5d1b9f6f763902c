"""TorchServe: a Python worker behind its Java server; the rows of one delay are one list."""

# mypy: disable-error-code="misc"
import os
from collections.abc import Sequence
from typing import Any

import numpy as np

from scripts.benchmarks.floors.foundation import open_session


class Scorer:
    """`{"inputs": row}` -> `{"outputs": row}`."""

    def initialize(self, context: Any) -> None:  # noqa: ANN401, ARG002 - TorchServe's signature
        """Open the session in the worker's process."""
        self.session = open_session(os.environ["MODEL"])
        self.name = self.session.get_inputs()[0].name

    def handle(self, data: Sequence[dict[str, Any]], context: Any) -> list[dict[str, Any]]:  # noqa: ANN401, ARG002
        """Score what TorchServe collected."""
        rows = np.array([request["body"]["inputs"] for request in data], dtype=np.float32)
        return [{"outputs": scores} for scores in self.session.run(None, {self.name: rows})[0].tolist()]
