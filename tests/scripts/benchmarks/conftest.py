"""A small model with known answers, and a benchmark run that measures it."""

import os
from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from scripts.benchmarks.lab import Lab
from scripts.benchmarks.noise import Guard
from scripts.benchmarks.subjects import Subject

CPU = min(os.sched_getaffinity(0))


@pytest.fixture
def linear(tmp_path: Path) -> Subject:
    """A linear model, float32 [batch, 3] -> [batch, 1]: x0 + 2 x1 + 3 x2."""
    import numpy as np

    weights = numpy_helper.from_array(np.array([[1], [2], [3]], np.float32), "weights")
    node = helper.make_node("MatMul", ["features", "weights"], ["score"])
    inputs = [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["batch", 3])]
    outputs = [helper.make_tensor_value_info("score", TensorProto.FLOAT, ["batch", 1])]
    graph = helper.make_graph([node], "linear", inputs, outputs, [weights])
    path = tmp_path / "linear.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return Subject(path=path, rows=[[1, 0, 0], [0, 1, 0], [1, 1, 1]], answers=[[1.0], [2.0], [6.0]])


@pytest.fixture
def lab(linear: Subject) -> Iterator[Lab]:
    guard = Guard(cpus=(CPU,), wait_budget=0)
    with Lab(guard=guard, log=lambda _: None, server_cpu=CPU, load_cpu=CPU, rounds=1) as lab:
        lab.payment = linear
        yield lab
