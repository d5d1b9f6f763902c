"""Training of payment-model on the synthetic stream, and its export as ONNX: the first step of the pipeline.

    python -m functions.payment_model.train --out models

Version 1.0.0 is a logistic regression: small, and easy to explain. Version 2.0.0 is a multilayer perceptron, wide
enough to benefit from int8. The input of both is `features` (float32 [batch, 30]), the output `fraud_score` (float32
[batch, 1], the probability of fraud). The same arguments produce the same bytes on the same machine.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import click
import numpy as np
import numpy.typing as npt
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from functions.payment_model.export import export
from functions.payment_model.features import Payment, row
from functions.payment_model.stream import draw

PAYMENTS = 60_000  # contains about 1,200 frauds, and trains in seconds on two slow cores
SEED = 2025
_HELD_OUT = 0.25  # fraction at the end of the stream that is not used for training
_CALIBRATION = 300  # payments; about six of them are frauds


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedModel:
    """An exported model, its metrics on the held-out payments, and data for `scalezero quantize`."""

    path: Path
    metrics: Mapping[str, float]
    calibration: Mapping[str, npt.NDArray[Any]]  # payments of the training, by the name of the input
    evaluation: Mapping[str, npt.NDArray[Any]]  # the held-out payments, and the labels by the name of the output


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Features (float32 [payments, 30]) and labels (int64 [payments], 1 is fraud), in the order of the stream."""

    features: npt.NDArray[np.float32]
    fraud: npt.NDArray[np.int64]

    def split(self) -> tuple["Sample", "Sample"]:
        """Split into the earlier part for training and the later part for measuring."""
        cut = round(len(self.fraud) * (1 - _HELD_OUT))
        return (
            Sample(features=self.features[:cut], fraud=self.fraud[:cut]),
            Sample(features=self.features[cut:], fraud=self.fraud[cut:]),
        )


def sample(payments: int, *, seed: int) -> Sample:
    """Generate payments, and read each in the same way as the function reads a request."""
    stream = draw(payments, seed=seed)
    rows = [row(Payment.read(raw)) for raw in stream.payments]
    return Sample(features=np.array(rows, np.float32), fraud=stream.fraud)


def logistic() -> Pipeline:
    """Build version 1.0.0."""
    return make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))


def perceptron() -> Pipeline:
    """Build version 2.0.0; training stops when the score on a tenth of the training data no longer improves."""
    network = MLPClassifier(
        hidden_layer_sizes=(256, 128),
        alpha=1.0,
        batch_size=512,
        learning_rate_init=1e-3,
        early_stopping=True,
        n_iter_no_change=5,
        max_iter=60,
        random_state=SEED,
    )
    return make_pipeline(StandardScaler(), network)


RECIPES: Mapping[str, Callable[[], Pipeline]] = {"1.0.0": logistic, "2.0.0": perceptron}


def train(version: str, out: Path, *, payments: int = PAYMENTS, seed: int = SEED) -> TrainedModel:
    """Train one version and write it to `out`/payment-model-v<major>.onnx.

    Raises `ValueError` for a version that is not in `RECIPES`.
    """
    if version not in RECIPES:
        raise ValueError(f"version: got {version!r}; expected one of {', '.join(RECIPES)}")
    past, future = sample(payments, seed=seed).split()
    pipeline = RECIPES[version]().fit(past.features, past.fraud)
    path = out / f"payment-model-v{version.partition('.')[0]}.onnx"
    export(pipeline, path, name="payment-model", version=version)
    return TrainedModel(
        path=path,
        metrics=_measure(pipeline, future),
        calibration={"features": past.features[:_CALIBRATION]},
        evaluation={"features": future.features, "fraud_score": future.fraud},
    )


def _measure(pipeline: Pipeline, held_out: Sample) -> dict[str, float]:
    scores = pipeline.predict_proba(held_out.features)[:, 1]
    return {
        "auc": round(float(roc_auc_score(held_out.fraud, scores)), 4),
        "average_precision": round(float(average_precision_score(held_out.fraud, scores)), 4),
    }


@click.command()
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for the models.")
@click.option("--payments", type=click.IntRange(min=1_000), default=PAYMENTS, show_default=True)
@click.option("--seed", type=click.IntRange(min=0), default=SEED, show_default=True)
def main(out: Path, payments: int, seed: int) -> None:
    """Train every version of payment-model and write each as ONNX."""
    for version in RECIPES:
        start = perf_counter()
        trained = train(version, out, payments=payments, seed=seed)
        measured = ", ".join(f"{name} {value:.4f}" for name, value in trained.metrics.items())
        click.echo(f"payment-model {version}: {measured} -> {trained.path} ({perf_counter() - start:.1f} s)")


if __name__ == "__main__":
    main()
