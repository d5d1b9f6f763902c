"""Models of 1 GiB, and their prepared forms: `python -m scripts.benchmarks.large prepare MODEL FOLDER`.

`table` looks up vectors of 1024 numbers, as a recommender does: ONNX Runtime can map its weights. `dense` multiplies
with four matrices, which ONNX Runtime packs into its own memory at each opening.

The command prepares in its own process, because that opens the whole model.
"""

import sys
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

SIZE: Final = 2**30  # bytes of the weights
VECTOR: Final = 1024
WIDTH: Final = 8192
SEED: Final = 7
ROWS: Final = 4


def write_table(path: Path, *, size: int = SIZE) -> list[list[int]]:
    """Write `index` int64 [batch, 8] -> `vectors` float32 [batch, 8, 1024]; return rows for it."""
    entries = size // (4 * VECTOR)
    random = np.random.default_rng(SEED)
    weights = {"table": random.standard_normal((entries, VECTOR), dtype=np.float32)}
    inputs = [helper.make_tensor_value_info("index", TensorProto.INT64, ["batch", 8])]
    outputs = [helper.make_tensor_value_info("vectors", TensorProto.FLOAT, ["batch", 8, VECTOR])]
    _save(path, [helper.make_node("Gather", ["table", "index"], ["vectors"])], inputs, outputs, weights)
    rows: list[list[int]] = random.integers(0, entries, (ROWS, 8)).tolist()
    return rows


def write_dense(path: Path, *, size: int = SIZE, width: int = WIDTH) -> list[list[float]]:
    """Write `x` float32 [batch, width] -> `y` of the same shape, through square matrices; return rows for it."""
    random = np.random.default_rng(SEED)
    count = size // (4 * width * width)
    weights = {f"w{index}": random.standard_normal((width, width), dtype=np.float32) for index in range(count)}
    nodes = []
    for index in range(count):
        weights[f"w{index}"] *= np.float32(width**-0.5)
        nodes.append(helper.make_node("MatMul", [f"a{index}" if index else "x", f"w{index}"], [f"m{index}"]))
        nodes.append(helper.make_node("Relu", [f"m{index}"], [f"a{index + 1}" if index + 1 < count else "y"]))
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", width])]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", width])]
    _save(path, nodes, inputs, outputs, weights)
    rows: list[list[float]] = (random.integers(-64, 64, (ROWS, width)) / 64).tolist()
    return rows


def _save(
    path: Path,
    nodes: list[NodeProto],
    inputs: list[onnx.ValueInfoProto],
    outputs: list[onnx.ValueInfoProto],
    weights: dict[str, np.ndarray],
) -> None:
    initializers = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, path.stem, inputs, outputs, initializers)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)


def main() -> None:
    """Prepare a model; print the path of the prepared model."""
    from runtime.model.preparing import prepare

    model, folder = Path(sys.argv[2]), Path(sys.argv[3])
    found = prepare(model, folder, name=model.stem)
    if not found.forms:
        sys.exit(found.reason)
    print(found.forms[0].model)


if __name__ == "__main__":
    main()
