"""Pure: the requests for payment-model on the cluster."""

import json
from typing import Final

from scripts.benchmarks.cluster.asking import Request

MODEL: Final = "payment-model"
V1: Final = "payment-model-v1"
V2: Final = "payment-model-v2"
SPLIT: Final = "payment-model-ab"
FEATURES: Final = 30


def predict(url: str, *, model: str = MODEL, rows: int = 1) -> Request:
    """Build a predict request with equal rows for the function at this URL."""
    body = json.dumps({"inputs": [[0.5] * FEATURES] * rows}).encode()
    return Request(url=f"{url}/api/v1/models/{model}/predict", body=body)
