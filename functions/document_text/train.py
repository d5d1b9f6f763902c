"""The models of document-text: those of the package rapidocr-onnxruntime, unchanged.

    python -m functions.document_text.train --out models

Nothing is trained here. The package is downloaded with pip, and the SHA-256 of each model is checked.

document-text, the detection. Input: `x` (float32 [batch, 3, height, width]). Output: float32 [batch, 1, height, width].
text-angle. Input: `x` (float32 [batch, 3, 48, 192]). Output: float32 [batch, 2]: upright, upside down.
text-recognition. Input: `x` (float32 [batch, 3, 48, width]). Output: float32 [batch, width / 8, 6625], in the order of
recognition.CLASSES.

The metrics are those on drawn images with known text: the shares of lines that are found, whose angle is recognized,
and that are read without an error, apart from spaces.

Source: rapidocr-onnxruntime 1.4.4 (https://github.com/RapidAI/RapidOCR), models of PaddleOCR, both Apache-2.0.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
import onnxruntime

from functions.document_text import angle, detection, package, recognition
from functions.document_text.samples import SIDE, Sample, lines, pages

VERSION = "1.0.0"
ANGLE_OUTPUT = "save_infer_model/scale_0.tmp_1"
CALIBRATION, EVALUATION = 2025, 2026  # seeds
PAGES, LINES = 4, 24  # of each seed

Arrays = Mapping[str, npt.NDArray[np.float32] | npt.NDArray[np.int64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedModel:
    """A model, its metrics on drawn images, and data for quantization: inputs, and expected outputs, by name."""

    path: Path
    metrics: Mapping[str, float]
    calibration: Arrays
    evaluation: Arrays


def train(version: str, out: Path, model: str) -> TrainedModel:
    """Write version 1.0.0 of the model with this name to `out`/NAME-v1.onnx.

    Raises `ValueError` for another version or name, and the errors of `package.models`.
    """
    if version != VERSION:
        raise ValueError(f"version: got {version!r}; expected {VERSION}")
    if model not in package.MODELS:
        raise ValueError(f"model: got {model!r}; expected one of {', '.join(package.MODELS)}")
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"{model}-v1.onnx"
    path.write_bytes(package.models()[model])
    return _MEASURES[model](path)


def _detection(path: Path) -> TrainedModel:
    drawn = pages(PAGES, seed=EVALUATION)
    rows = _page_rows(drawn)
    maps = [output[0] for output in _outputs(path, rows)]
    found = sum(min(len(detection.boxes(each, height=SIDE, width=SIDE)), len(sample.texts))
                for each, sample in zip(maps, drawn, strict=True))  # fmt: skip
    expected = sum(len(sample.texts) for sample in drawn)
    return TrainedModel(
        path=path,
        metrics={"lines_found": round(found / expected, 4)},
        calibration={"x": _page_rows(pages(PAGES, seed=CALIBRATION))},
        evaluation={"x": rows},
    )


def _angle(path: Path) -> TrainedModel:
    rows, expected = _angle_rows(EVALUATION)
    best = [int(output.argmax()) for output in _outputs(path, rows)]
    return TrainedModel(
        path=path,
        metrics={"angles_right": round(float(np.mean(best == expected)), 4)},
        calibration={"x": _angle_rows(CALIBRATION)[0]},
        evaluation={"x": rows, ANGLE_OUTPUT: expected},
    )


def _recognition(path: Path) -> TrainedModel:
    drawn = lines(LINES, seed=EVALUATION)
    rows = _line_rows(drawn)
    read = [recognition.texts(output[None])[0].text for output in _outputs(path, rows)]
    right = [text.replace(" ", "") == sample.texts[0] for text, sample in zip(read, drawn, strict=True)]
    return TrainedModel(
        path=path,
        metrics={"lines_read": round(float(np.mean(right)), 4)},
        calibration={"x": _line_rows(lines(LINES, seed=CALIBRATION))},
        evaluation={"x": rows},
    )


def _page_rows(drawn: Sequence[Sample]) -> npt.NDArray[np.float32]:
    """Return the input of the detection for the pages: float32 [pages, 3, 736, 736]."""
    return np.concatenate([detection.tensor(sample.pixels) for sample in drawn])


def _angle_rows(seed: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Return the input of the angle model, every second line upside down, and 1 for each of these (int64 [lines])."""
    drawn = [sample.pixels for sample in lines(LINES, seed=seed)]
    turned = [angle.turned(pixels) if index % 2 else pixels for index, pixels in enumerate(drawn)]
    return angle.tensor(turned), np.arange(LINES) % 2


def _line_rows(drawn: Sequence[Sample]) -> npt.NDArray[np.float32]:
    """Return the input of the recognition for the lines, in their order: float32 [lines, 3, 48, 320]."""
    rows = {
        index: row
        for group in recognition.groups([sample.pixels for sample in drawn])
        for index, row in zip(group.indices, group.tensor, strict=True)
    }
    return np.stack([rows[index] for index in range(len(drawn))])


def _outputs(path: Path, rows: npt.NDArray[np.float32]) -> list[npt.NDArray[np.float32]]:
    """Return the output of the model for each row. Each row has its own run, which takes the least memory."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return [session.run(None, {"x": row[None]})[0][0] for row in rows]


_MEASURES = {"document-text": _detection, "text-angle": _angle, "text-recognition": _recognition}


@click.command()
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for the models.")
def main(out: Path) -> None:
    """Write the models of document-text."""
    for name in package.MODELS:
        trained = train(VERSION, out, name)
        metrics = ", ".join(f"{metric} {value:.4f}" for metric, value in trained.metrics.items())
        click.echo(f"{name} {VERSION}: {metrics} -> {trained.path}")


if __name__ == "__main__":
    main()
