"""How much faster, or less accurate, the variant is that `scalezero quantize` chooses."""

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np

from runtime.model.session import Session
from runtime.optimizing import Bounds, Step, data_from, optimize
from runtime.variants.values import ORIGINAL, Assessment, Measurement
from scripts.benchmarks import resnet, transformer

ROWS: Final = 8  # in a run
_CALIBRATION: Final = 16
_EVALUATION: Final = 16
_MINILM: Final = transformer.Size(layers=6, tokens=64, vocabulary=30522)

Arrays = Mapping[str, np.ndarray]
Log = Callable[[str], None]


def resnet50(log: Log) -> Assessment:
    """Optimize ResNet-50 on random images."""
    random = np.random.default_rng(1)

    def images(count: int) -> Arrays:
        return {resnet.INPUT: random.standard_normal((count, *resnet.SHAPE)).astype(np.float32)}

    return _optimize("resnet50", resnet.write, images(_CALIBRATION), images(_EVALUATION), log)


def minilm(log: Log) -> Assessment:
    """Optimize a text encoder with the size of MiniLM-L6 on random tokens."""
    random = np.random.default_rng(1)

    def tokens(count: int) -> Arrays:
        return {"input_ids": random.integers(0, _MINILM.vocabulary, (count, _MINILM.tokens))}

    def write(path: Path) -> None:
        transformer.write(path, _MINILM)

    return _optimize("minilm", write, tokens(_CALIBRATION), tokens(_EVALUATION), log)


def digits(log: Log) -> Assessment:
    """Train and optimize digits on its own data, and judge it by accuracy."""
    from functions.digits.train import VERSION, train

    with TemporaryDirectory(prefix="bench-") as folder:
        trained = train(VERSION, Path(folder))
        return _optimize_file("digits", trained.path, trained.calibration, trained.evaluation, log)


def chosen(assessment: Assessment) -> Measurement:
    """Return the measurement of the chosen variant."""
    return next(each for each in assessment.measurements if each.variant == assessment.chosen)


def describe(assessment: Assessment) -> str:
    """Return the chosen variant and why."""
    name = "the original" if assessment.chosen == ORIGINAL else assessment.chosen
    return f"{name}: {assessment.reason}"


def _optimize(
    name: str, write: Callable[[Path], None], calibration: Arrays, evaluation: Arrays, log: Log
) -> Assessment:
    with TemporaryDirectory(prefix="bench-") as folder:
        path = Path(folder) / f"{name}.onnx"
        write(path)
        return _optimize_file(name, path, calibration, evaluation, log)


def _optimize_file(name: str, path: Path, calibration: Arrays, evaluation: Arrays, log: Log) -> Assessment:
    signature = Session(path, uri=name, name=name, threads=1).signature

    def show(step: Step) -> None:
        log(f"{name}: {step.text} ({step.done} of {step.total})")

    return optimize(
        path,
        out=path.parent / "variants",
        calibration=data_from(calibration, signature),
        evaluation=data_from(evaluation, signature),
        bounds=Bounds(),
        batch_size=ROWS,
        name=name,
        progress=show,
    ).assessment
