"""Tests with sixteen concurrent callers and typical models: every answer matches an in-process run of its rows."""

from pathlib import Path

import numpy as np
import pytest

from tests import models
from tests.conformance.callers import check_answer, reference, runs_and_rows, send_concurrently
from tests.conformance.cases import Case, Tensors, picture, random_floats
from tests.runtime import independence_models as zoo
from tests.runtime.frontends.conftest import Served, serving

CALLERS, WAVES, MOST_WAVES = 16, 4, 40
F32 = np.float32


def payments(path: Path) -> Path:
    """Three layers from 30 features to a probability, as in payment-model. [batch, 30] -> [batch, 1]."""
    random = np.random.default_rng(8)
    nodes = [
        zoo.node("Gemm", ["x", "w1", "b1"], ["a"]),
        zoo.node("Relu", ["a"], ["b"]),
        zoo.node("Gemm", ["b", "w2", "b2"], ["c"]),
        zoo.node("Relu", ["c"], ["d"]),
        zoo.node("MatMul", ["d", "w3"], ["e"]),
        zoo.node("Sigmoid", ["e"], ["fraud_score"]),
    ]
    shapes = {"w1": (30, 64), "b1": (64,), "w2": (64, 32), "b2": (32,), "w3": (32, 1)}
    weights = {name: (0.2 * random.standard_normal(shape)).astype(F32) for name, shape in shapes.items()}
    x, score = models.value("x", models.FLOAT, ["batch", 30]), models.value("fraud_score", models.FLOAT, ["batch", 1])
    return models.save(path, nodes, [x], [score], **weights)


def payments_slowly(path: Path) -> Path:
    """Large layers: reading the weights takes equally long for one row and for many. [batch, 30] -> [batch, 30]."""
    random = np.random.default_rng(9)
    nodes = [
        zoo.node("MatMul", ["x", "w1"], ["a"]),
        zoo.node("Tanh", ["a"], ["b"]),
        zoo.node("MatMul", ["b", "w2"], ["c"]),
        zoo.node("Tanh", ["c"], ["d"]),
        zoo.node("MatMul", ["d", "w3"], ["y"]),
    ]
    shapes = {"w1": (30, 3000), "w2": (3000, 3000), "w3": (3000, 30)}
    weights = {name: (0.02 * random.standard_normal(shape)).astype(F32) for name, shape in shapes.items()}
    shape: models.Axes = ["batch", 30]
    return models.save(
        path, nodes, [models.value("x", models.FLOAT, shape)], [models.value("y", models.FLOAT, shape)], **weights
    )


def features(seed: int) -> Tensors:
    return [np.random.default_rng(seed).standard_normal((1 + seed % 3, 30)).astype(F32)]


def sentence(seed: int) -> Tensors:
    """Return the ids of 4 to 7 tokens. In some sentences the last one is padding."""
    random = np.random.default_rng(seed)
    length = 4 + seed % 4
    mask = (np.arange(length) < length - seed % 2).astype(np.int64)
    return [random.integers(0, 20, (1, length)), mask[None]]


ZOO = {
    "payments": Case(payments, features, shares=True),
    "cnn": Case(zoo.cnn, lambda seed: [random_floats(1 + seed % 2, 3, 8, 8, seed=seed)], shares=True),
    "static_quantized": Case(
        zoo.static_quantized, lambda seed: [random_floats(1, 8, seed=seed)], step=0.126, shares=True
    ),
    "attention": Case(zoo.attention, sentence, shares=True),
    "detector": Case(zoo.boxes, picture),
    "dynamic_quantized": Case(zoo.dynamic_quantized, lambda seed: [random_floats(1, 3, seed=seed)]),
    "lookup": Case(models.lookup, lambda seed: [np.array([seed % 10])], shares=True),
    "two_in_two_out": Case(
        models.two_in_two_out,
        lambda seed: [random_floats(1, 2, seed=seed), random_floats(1, 2, seed=seed + 1)],
        shares=True,
    ),
}


def send_wave(served: Served, case: Case, path: Path, number: int) -> None:
    """Send one request of each caller at the same time, and check the answers."""
    names, run = reference(path)
    requests = [case.tensors(100 * number + caller) for caller in range(CALLERS)]
    for tensors, response in zip(requests, send_concurrently(served, names, requests), strict=True):
        check_answer(case, run, tensors, response)


@pytest.mark.parametrize("name", list(ZOO))
def test_every_caller_gets_the_answer_to_its_own_rows(tmp_path: Path, name: str) -> None:
    case = ZOO[name]
    path = case.make(tmp_path / "m.onnx")
    with serving(tmp_path, path) as served:
        for number in range(WAVES):
            send_wave(served, case, path, number)
        batching = served.get("/api/v1/models/m").json()["batching"]
        for number in range(WAVES, MOST_WAVES):
            if batching["batchable"] or not case.shares:
                break  # the proof needs requests that wait at the same time, which may not happen on a busy machine
            send_wave(served, case, path, number)
            batching = served.get("/api/v1/models/m").json()["batching"]
    assert batching["batchable"] is case.shares, batching


def test_callers_of_a_slow_model_share_runs_after_the_proof(tmp_path: Path) -> None:
    """Requests that wait for a run share the next one, so there are fewer runs than rows."""
    case = Case(payments_slowly, lambda seed: [random_floats(1, 30, seed=seed)], shares=True)
    path = case.make(tmp_path / "m.onnx")
    with serving(tmp_path, path) as served:
        for number in range(MOST_WAVES):
            send_wave(served, case, path, number)
            if served.get("/api/v1/models/m").json()["batching"]["batchable"]:
                break
        runs, rows = runs_and_rows(served)
        for number in range(MOST_WAVES):
            send_wave(served, case, path, 1000 + number)
            later_runs, later_rows = runs_and_rows(served)
            assert later_rows - rows == (number + 1) * CALLERS
            if later_runs - runs < later_rows - rows:
                return
    pytest.fail("no two requests of one row have shared a run")
