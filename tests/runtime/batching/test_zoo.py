"""Models of random operators: the answers equal those of ONNX Runtime, whether runs are shared or not."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from onnx import NodeProto, TensorProto

from runtime.predictor import ReadyModel
from tests.models import FLOAT, INT64, save, value
from tests.runtime.batching.serving import compare, serving
from tests.runtime.independence_models import node

WIDTH = 3
CONSTANTS = {
    "along": np.array([0]),
    "axis": np.array(0),
    "none": np.array([2**31]),
    "minus": np.array([-1]),
    "least": np.array([-(2**31)]),
    "start": np.array([0]),
    "two": np.array([2]),
    "shape": np.array([-1, WIDTH]),
    "wide": np.array([-1, 2 * WIDTH]),
    "one_row": np.array([0]),
}

# name -> the operators from {x} to {y}; {n} makes their names unique; the rows of the first group are independent
Steps = dict[str, list[tuple[str, str, str, dict[str, Any]]]]
APART: Steps = {
    "tanh": [("Tanh", "x", "y", {})],
    "softmax of a row": [("Softmax", "x", "y", {"axis": 1})],
    "mean of a row": [("ReduceMean", "x", "m", {"axes": [1], "keepdims": 1}), ("Sub", "x m", "y", {})],
    "reverse a row": [("Slice", "x minus least two_ minus", "y", {})],
}
MIXED: Steps = {
    "running sum": [("CumSum", "x axis", "y", {})],
    "running sum backwards": [("CumSum", "x axis", "y", {"reverse": 1})],
    "share of the column": [("Softmax", "x", "y", {"axis": 0})],
    "less the mean": [("ReduceMean", "x", "m", {"axes": [0], "keepdims": 1}), ("Sub", "x m", "y", {})],
    "a little of the mean": [
        ("ReduceMean", "x", "m", {"axes": [0], "keepdims": 1}),
        ("Mul", "m w", "s", {}),
        ("Add", "x s", "y", {}),
    ],
    "of the largest": [("ReduceMax", "x", "m", {"axes": [0], "keepdims": 1}), ("Sub", "x m", "y", {})],
    "turned around": [("Slice", "x minus least along minus", "y", {})],
    "every second": [("Slice", "x start none along two", "y", {})],
    "twice": [("Concat", "x x", "y", {"axis": 0})],
    "the first row": [("Gather", "x one_row", "f", {"axis": 0}), ("Add", "x f", "y", {})],
    "pairs of rows": [("Concat", "x x", "c", {"axis": 0}), ("Reshape", "c wide", "y", {})],
    "times the number of rows": [
        ("Shape", "x", "s", {}),
        ("Gather", "s axis", "c", {"axis": 0}),
        ("Cast", "c", "f", {"to": FLOAT}),
        ("Mul", "x f", "y", {}),
    ],
    "the place": [
        ("Mul", "x zero", "z", {}),
        ("Add", "z unit", "o", {}),
        ("CumSum", "o axis", "p", {}),
        ("Add", "x p", "y", {}),
    ],
    "the best": [
        ("ReduceMax", "x", "m", {"axes": [0], "keepdims": 1}),
        ("Equal", "x m", "b", {}),
        ("Cast", "b", "y", {"to": FLOAT}),
    ],
    "positive ones": [
        ("Greater", "x zero", "g", {}),
        ("ReduceMax", "x", "top", {"axes": [1], "keepdims": 0}),
        ("Greater", "top zero", "keep", {}),
        ("Compress", "x keep", "y", {"axis": 0}),
    ],
    "sorted": [("TopK", "x rows_", "y i", {"axis": 0})],
}
STEPS = {**APART, **MIXED}
FLOATS = {"w": np.array(0.01, np.float32), "zero": np.array(0, np.float32), "unit": np.array(1, np.float32)}


def chain(steps: list[str]) -> list[NodeProto]:
    """Return the operators in sequence, from `v0` to `v<n>`."""
    nodes = []
    for place, name in enumerate(steps):
        if name == "sorted":
            nodes += [node("Shape", [f"v{place}"], [f"rows{place}"], start=0, end=1)]
        for kind, inputs, outputs, attributes in STEPS[name]:
            own = {"x": f"v{place}", "y": f"v{place + 1}", "rows_": f"rows{place}", "two_": "minus"}
            shared = {*CONSTANTS, *FLOATS}
            into = [own.get(each) or (each if each in shared else f"{each}{place}") for each in inputs.split()]
            out = [own.get(each) or f"{each}{place}" for each in outputs.split()]
            if name == "reverse a row":
                into[3] = "second"
            nodes.append(node(kind, into, out, **attributes))
    return nodes


def model_of(path: Path, steps: list[str], *, whole_numbers: bool) -> Path:
    """Write a model with the input float32 or int64 [batch, 3]; the axes of its output have generated names."""
    nodes = chain(steps)
    if whole_numbers:
        nodes = [node("Cast", ["ids"], ["v0"], to=TensorProto.FLOAT), *nodes]
    given_ = value("ids", INT64, ["batch", WIDTH]) if whole_numbers else value("v0", FLOAT, ["batch", WIDTH])
    made = value(f"v{len(steps)}", FLOAT, ["unk__1", "unk__2"])
    constants = {**CONSTANTS, **FLOATS, "second": np.array([1])}
    used = {name for each in nodes for name in each.input}
    return save(path, nodes, [given_], [made], **{name: each for name, each in constants.items() if name in used})


def ask(seed: int, *, whole_numbers: bool, rows: int) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    if whole_numbers:
        return [random.integers(-3, 9, (rows, WIDTH))]
    return [(random.standard_normal((rows, WIDTH)) * 10.0 ** (seed % 5 - 2)).astype(np.float32)]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    steps=st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=3),
    whole_numbers=st.booleans(),
    batch_size=st.sampled_from([1, 4, 32]),
    rows=st.lists(st.integers(1, 6), min_size=8, max_size=8),
)
@example(steps=["the best"], whole_numbers=True, batch_size=32, rows=[1] * 8)
@example(steps=["a little of the mean"], whole_numbers=False, batch_size=32, rows=[1] * 8)
@example(steps=["turned around", "turned around"], whole_numbers=False, batch_size=32, rows=[1, 2] * 4)
def test_answers_equal_those_of_a_separate_run(
    steps: list[str],
    whole_numbers: bool,  # noqa: FBT001 - drawn by hypothesis
    batch_size: int,
    rows: list[int],
) -> None:
    async def scenario(model: ReadyModel) -> None:
        waves = [
            [ask(100 * wave + place, whole_numbers=whole_numbers, rows=count) for place, count in enumerate(rows)]
            for wave in range(3)
        ]
        await compare(model, [waves[0][:1], *waves, [ask(7, whole_numbers=whole_numbers, rows=50)]], step=1e-6)

    with TemporaryDirectory() as folder:
        serving(model_of(Path(folder) / "m.onnx", steps, whole_numbers=whole_numbers), scenario, batch_size=batch_size)


def test_models_with_independent_rows_share_runs(tmp_path: Path) -> None:
    async def scenario(model: ReadyModel) -> None:
        waves = [[ask(10 * wave + place, whole_numbers=False, rows=1) for place in range(8)] for wave in range(3)]
        await compare(model, waves, step=1e-6)
        assert model.batcher.shares

    for place, step in enumerate(APART):
        serving(model_of(tmp_path / f"{place}.onnx", [step], whole_numbers=False), scenario)
