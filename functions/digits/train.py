"""Training of digits on the handwritten digits of scikit-learn, and its export as ONNX.

    python -m functions.digits.train --out models

The data is real: 1,797 digits by 13 people, as 8x8 pixels from 0 to 16. It is a file in scikit-learn's package, so
training needs no network. The reported accuracy is that on a random quarter of the digits, which is not used for
training. Both parts can have digits of the same person; with the last quarter of the file held out, it is 0.92.

Input: `pixels` (float32 [batch, 64]). Outputs: `label` (int64 [batch], the digit) and `probabilities` (float32
[batch, 10]). The same version produces the same bytes on the same machine.

Source of the data: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import onnx
from onnx import checker, helper
from onnx.tools.update_model_dims import update_inputs_outputs_dims
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from functions.digits.features import SIDE

VERSION = "1.0.0"
SEED = 2025
PIXELS = SIDE * SIDE
DIGITS = 10
_HELD_OUT = 0.25  # fraction that is not used for training, the same for each digit
_CALIBRATION = 300  # images
_OPSET = {"": 17, "ai.onnx.ml": 3}  # old enough for all runtimes of recent years


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedModel:
    """An exported model, its metrics on the held-out digits, and data for `scalezero quantize`."""

    path: Path
    metrics: Mapping[str, float]
    calibration: Mapping[str, npt.NDArray[Any]]  # images of the training, by the name of the input
    evaluation: Mapping[str, npt.NDArray[Any]]  # the held-out images, and their digits by the name of the output


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Images (float32 [images, 64], each 0 to 16) and their digits (int64 [images])."""

    pixels: npt.NDArray[np.float32]
    digits: npt.NDArray[np.int64]


def split() -> tuple[Sample, Sample]:
    """Return the part for training and the held-out part, always the same ones."""
    pixels, digits = load_digits(return_X_y=True)
    known, held_out, labels, expected = train_test_split(
        pixels.astype(np.float32), digits, test_size=_HELD_OUT, stratify=digits, random_state=SEED
    )
    return Sample(pixels=known, digits=labels), Sample(pixels=held_out, digits=expected)


def fit(known: Sample) -> Pipeline:
    """Train a perceptron with one hidden layer; it converges in about a second."""
    network = MLPClassifier(hidden_layer_sizes=(64,), alpha=0.01, max_iter=400, random_state=SEED)
    return make_pipeline(StandardScaler(), network).fit(known.pixels, known.digits)


def train(version: str, out: Path) -> TrainedModel:
    """Train version 1.0.0 and write it to `out`/digits-v1.onnx.

    Raises `ValueError` for another version.
    """
    if version != VERSION:
        raise ValueError(f"version: got {version!r}; expected {VERSION}")
    known, held_out = split()
    pipeline = fit(known)
    path = out / "digits-v1.onnx"
    export(pipeline, path, version=version)
    return TrainedModel(
        path=path,
        metrics={"accuracy": round(float(pipeline.score(held_out.pixels, held_out.digits)), 4)},
        calibration={"pixels": known.pixels[:_CALIBRATION]},
        evaluation={"pixels": held_out.pixels, "label": held_out.digits},
    )


def export(pipeline: Pipeline, path: Path, *, version: str) -> None:
    """Write the pipeline to `path` as ONNX, with the inputs and outputs above."""
    model = to_onnx(
        pipeline,
        name="digits",
        initial_types=[("pixels", FloatTensorType([None, PIXELS]))],
        options={"zipmap": False},  # probabilities as a tensor, not as a dictionary for each row
        target_opset=_OPSET,
    )
    model = update_inputs_outputs_dims(
        model, {"pixels": ["batch", PIXELS]}, {"label": ["batch"], "probabilities": ["batch", DIGITS]}
    )
    helper.set_model_props(model, {"name": "digits", "version": version})
    checker.check_model(model, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)


@click.command()
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for the model.")
def main(out: Path) -> None:
    """Train digits and write it as ONNX."""
    trained = train(VERSION, out)
    click.echo(f"digits {VERSION}: accuracy {trained.metrics['accuracy']:.4f} -> {trained.path}")


if __name__ == "__main__":
    main()
