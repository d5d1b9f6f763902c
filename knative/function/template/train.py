"""Training of the model. `scalezero publish` calls `train` for each ModelVersion."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from skl2onnx import to_onnx
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split


class TrainedModel(NamedTuple):
    """The ONNX file, and the metrics of the model on held-out data."""

    path: Path
    metrics: dict[str, float]


def train(version: str, out: Path) -> TrainedModel:
    """Train one version and write it as an ONNX file below `out`."""
    features, species = load_iris(return_X_y=True)
    known, held_out, labels, expected = train_test_split(features.astype(np.float32), species, random_state=1)
    classifier = LogisticRegression(max_iter=500).fit(known, labels)
    path = out / f"example-function-{version}.onnx"
    path.write_bytes(to_onnx(classifier, known[:1], options={"zipmap": False}).SerializeToString())
    return TrainedModel(path, {"accuracy": float(classifier.score(held_out, expected))})
