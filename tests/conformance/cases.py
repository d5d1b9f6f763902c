"""Regression cases: models and inputs that once had a wrong answer. A seed selects the input of each caller."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tests import models
from tests.runtime import independence_models as zoo

F32 = np.float32
Tensors = Sequence[np.ndarray]


class Case(NamedTuple):
    """A model, the tensors of a caller by seed, and the tolerance compared with ONNX Runtime's output.

    `tolerance` is relative to the largest value of the answer's row, `step` is absolute. `shares` is whether callers
    share runs after the proof that their rows are independent.
    """

    make: Callable[[Path], Path]
    tensors: Callable[[int], Tensors]
    tolerance: float = 1e-4
    step: float = 0.0
    shares: bool = False


def random_floats(*shape: int, seed: int) -> np.ndarray:
    """Return random floats. Their scale depends on the seed, so that callers differ by six orders of magnitude."""
    random = np.random.default_rng(seed)
    values: np.ndarray = (random.standard_normal(shape) * 10.0 ** (seed % 7 - 3)).astype(F32)
    return values


def candidates(seed: int) -> Tensors:
    """Return 1 to 50 candidates, many with the same score."""
    return [np.random.default_rng(seed).integers(0, 30, (1 + seed * 7 % 50, 1)).astype(F32)]


def picture(seed: int) -> Tensors:
    """Return an image with several bright pixels; every third one has none."""
    return [(np.random.default_rng(seed).random((1, 1, 4, 4)) > (0.8 if seed % 3 else 1.0)).astype(F32)]


def decoder_step(seed: int) -> Tensors:
    """Return the past, which is empty at first, and the new tokens."""
    return [random_floats(1, 2, seed % 4, 4, seed=seed), random_floats(1, 2, 1 + seed % 2, 4, seed=seed + 1)]


def words(seed: int) -> Tensors:
    return [np.array([f"{seed}", "b", "ü"][: 1 + seed % 3], object)]


def whole(seed: int) -> Tensors:
    return [np.random.default_rng(seed).integers(-9, 9, (1 + seed % 2, 3))]


def ids(path: Path) -> Path:
    """A cast of integers to floats, [batch, 3]."""
    shape: models.Axes = ["batch", 3]
    node = zoo.node("Cast", ["ids"], ["y"], to=models.FLOAT)
    ids, y = models.value("ids", models.INT64, shape), models.value("y", models.FLOAT, shape)
    return models.save(path, [node], [ids], [y])


CASES = {
    "counts": Case(zoo.counts, lambda seed: [np.array([[seed % 4]], F32)]),
    "boxes": Case(zoo.boxes, picture),
    "smooth": Case(zoo.smooth, lambda seed: [random_floats(64 if seed % 2 else 40, seed=seed)]),
    "denoise": Case(zoo.denoise, lambda seed: [random_floats(64 if seed % 2 else 40, seed=seed)]),
    "best": Case(zoo.best, candidates),
    "verdict": Case(zoo.verdict, candidates),
    "mean": Case(zoo.mean, lambda seed: [random_floats(1 + seed % 3, 3, seed=seed)]),
    "dynamic_quantized": Case(zoo.dynamic_quantized, lambda seed: [random_floats(1 + seed % 3, 3, seed=seed)]),
    "repeated": Case(models.pooled, lambda seed: [random_floats(1, 3, 4, 8, seed=seed)], shares=True),
    "first_step": Case(models.first_step, decoder_step, shares=True),
    "ids": Case(ids, whole, shares=True),
    "scalar": Case(models.scaled, lambda seed: [random_floats(1 + seed % 2, 2, seed=seed), np.array(seed, F32)]),
    "fixed": Case(zoo.one_row, lambda seed: [random_floats(1, 3, seed=seed)]),
    "sequence": Case(models.repeated, words),
    "absent": Case(models.absent, lambda seed: [random_floats(1 + seed % 3, seed=seed)]),
}
