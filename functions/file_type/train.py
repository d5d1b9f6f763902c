"""The model of file-type: the ONNX model of the package magika, unchanged.

    python -m functions.file_type.train --out models

Nothing is trained here. The package comes with `pip install 'scalezero[train]'`. Another release of it may have another
model, with other labels than content_types.json, so the SHA-256 of the model is checked.

Input: `bytes` (int32 [batch, 2048], see features.window). Output: `target_label` (float32 [batch, 214], in the order of
features.LABELS).

The data for evaluation are files of the Python installation, whose suffix states their type. The reported accuracy is
the share of them for which the label with the highest score is that type.

Source: magika (https://github.com/google/magika), Copyright 2024 Google LLC, Apache-2.0.
"""

import os
import random
import shutil
import sysconfig
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
import onnxruntime

from functions.file_type import package
from functions.file_type.features import LABELS, window

VERSION = "1.0.0"
SHA256 = "fe2d2eb49c5f88a9e0a6c048e15d6ffdf86235519c2afc535044de433169ec8c"
SEED = 2025
PER_SUFFIX = 16  # files, so that no type dominates
SUFFIXES = {
    ".c": "c",
    ".css": "css",
    ".csv": "csv",
    ".gif": "gif",
    ".gz": "gzip",
    ".html": "html",
    ".jpg": "jpeg",
    ".js": "javascript",
    ".json": "json",
    ".npy": "npy",
    ".npz": "npz",
    ".pdf": "pdf",
    ".png": "png",
    ".py": "python",
    ".pyc": "pythonbytecode",
    ".pyi": "python",
    ".rst": "rst",
    ".so": "elf",
    ".svg": "svg",
    ".toml": "toml",
    ".ttf": "ttf",
    ".xml": "xml",
    ".zip": "zip",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """Model inputs (int32 [files, 2048]) and the index in LABELS of the type of each file (int64 [files])."""

    windows: npt.NDArray[np.int32]
    types: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedModel:
    """The model, its accuracy, and data for quantization; `evaluation` has the index of the right label by output."""

    path: Path
    metrics: Mapping[str, float]
    calibration: Mapping[str, npt.NDArray[np.int32]]
    evaluation: Mapping[str, npt.NDArray[np.int32] | npt.NDArray[np.int64]]


def train(version: str, out: Path) -> TrainedModel:
    """Copy the model of version 1.0.0 to `out`/file-type-v1.onnx.

    Raises `ValueError` for another version or another model, and `ModuleNotFoundError` if magika is not installed.
    """
    if version != VERSION:
        raise ValueError(f"version: got {version!r}; expected {VERSION}")
    out.mkdir(parents=True, exist_ok=True)
    path = copy(package.model(), out / "file-type-v1.onnx")
    calibration, evaluation = split()
    return TrainedModel(
        path=path,
        metrics={"accuracy": round(accuracy(path, evaluation), 4)},
        calibration={"bytes": calibration.windows},
        evaluation={"bytes": evaluation.windows, "target_label": evaluation.types},
    )


def copy(source: Path, destination: Path) -> Path:
    """Copy the model and return the new path. Raises `ValueError` if it is not the model of content_types.json."""
    digest = sha256(source.read_bytes()).hexdigest()
    if digest != SHA256:
        wanted = f"{SHA256}, that of magika {package.RELEASE}; pip install magika=={package.RELEASE}"
        raise ValueError(f"{source}: got a model with the SHA-256 {digest}; expected {wanted}")
    shutil.copyfile(source, destination)
    return destination


def accuracy(path: Path, sample: Sample) -> float:
    """Return the share of files whose type has the highest score in the model at `path`.

    Each file has its own run: a run of many files is slower, and takes 4 MiB for each of them.
    """
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    best = [session.run(["target_label"], {"bytes": row[None]})[0].argmax() for row in sample.windows]
    return float(np.mean(best == sample.types))


def split() -> tuple[Sample, Sample]:
    """Return the files for calibration and those for evaluation: of each type about half, always the same ones."""
    rows = [(row, LABELS.index(SUFFIXES[path.suffix])) for path in files() if (row := _read(path)) is not None]
    return _sample(rows[::2]), _sample(rows[1::2])


def files() -> list[Path]:
    """Return files of the standard library and of the installed packages: at most 16 of each suffix, at random."""
    found: dict[str, set[str]] = {suffix: set() for suffix in SUFFIXES}
    for name in ("stdlib", "purelib"):
        for folder, _, names in os.walk(sysconfig.get_path(name)):
            for file in names:
                if (suffix := os.path.splitext(file)[1]) in found:  # noqa: PTH122 - a Path for each of all files is slow
                    found[suffix].add(os.path.join(folder, file))  # noqa: PTH118 - as above
    draw = random.Random(SEED)  # noqa: S311 - a sample, not a secret
    chosen = (draw.sample(sorted(paths), min(PER_SUFFIX, len(paths))) for paths in found.values())
    return [Path(path) for paths in chosen for path in paths]


def _read(path: Path) -> npt.NDArray[np.int32] | None:
    return window(path.read_bytes()) if path.is_file() else None


def _sample(rows: Sequence[tuple[npt.NDArray[np.int32], int]]) -> Sample:
    return Sample(
        windows=np.array([row for row, _ in rows], np.int32), types=np.array([kind for _, kind in rows], np.int64)
    )


@click.command()
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), required=True, help="Folder for the model.")
def main(out: Path) -> None:
    """Write the model of file-type."""
    trained = train(VERSION, out)
    click.echo(f"file-type {VERSION}: accuracy {trained.metrics['accuracy']:.4f} -> {trained.path}")


if __name__ == "__main__":
    main()
