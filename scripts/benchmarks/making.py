"""Creates a model and rows for it: `python -m scripts.benchmarks.making KIND FOLDER`, where KIND is one of NAMES.

It runs in its own process: the process that measures memory must not map its imports (training, ONNX).
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from scripts.benchmarks import large

PAYMENT_ROWS: Final = 32
PAYMENT_SEED: Final = 1  # rows that are not part of the training data
HEAVY_ROWS: Final = 8
DIGITS_ROWS: Final = 32
IMAGES: Final = 4  # each of 600 kB as float32
NAMES: Final = {
    "v1": "payment-model-v1",
    "v2": "payment-model-v2",
    "heavy": "text-encoder",
    "resnet": "resnet50",
    "counts": "counts",
    "table": "table",
    "dense": "dense",
    "digits": "wasm-digits",  # the name that the guest asks for
}
COUNTS_ROWS: Final = 8
COUNTS: Final = 30  # in a row, as many as a payment has features


def payment(version: str, folder: Path) -> list[list[float]]:
    """Train one version into the folder; return rows of synthetic payments, with the fewest digits of each float32."""
    from functions.payment_model.train import sample, train

    train(version, folder)
    features = sample(PAYMENT_ROWS, seed=PAYMENT_SEED).features
    return [[float(str(number)) for number in row] for row in features]


def digits(path: Path) -> list[list[float]]:
    """Train the digits to the path; return rows of pixels."""
    from functions.digits.train import VERSION, split, train

    train(VERSION, path.parent).path.rename(path)
    rows: list[list[float]] = split()[1].pixels[:DIGITS_ROWS].tolist()
    return rows


def heavy(path: Path) -> list[list[int]]:
    """Write the text encoder; return rows of token ids."""
    from scripts.benchmarks import transformer

    transformer.write(path)
    return transformer.rows(HEAVY_ROWS)


def images(path: Path) -> list[list[float]]:
    """Write ResNet-50; return rows of images, flat."""
    from scripts.benchmarks import resnet

    resnet.write(path)
    return resnet.rows(IMAGES)


def counts(path: Path) -> list[list[int]]:
    """Write a model that sums integers, int64 [batch, 30] -> [batch, 1]; return rows for it."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    axes = numpy_helper.from_array(np.array([1], np.int64), "axes")
    node = helper.make_node("ReduceSum", ["counts", "axes"], ["sum"], keepdims=1)
    inputs = [helper.make_tensor_value_info("counts", TensorProto.INT64, ["batch", COUNTS])]
    outputs = [helper.make_tensor_value_info("sum", TensorProto.INT64, ["batch", 1])]
    graph = helper.make_graph([node], "counts", inputs, outputs, [axes])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return [[index + step for step in range(COUNTS)] for index in range(COUNTS_ROWS)]


def main() -> None:
    """Write NAME.onnx and NAME.rows.json."""
    kind, folder = sys.argv[1], Path(sys.argv[2])
    name = NAMES[kind]
    path = folder / f"{name}.onnx"
    rows: Sequence[Sequence[float]]
    match kind:
        case "digits":
            rows = digits(path)
        case "heavy":
            rows = heavy(path)
        case "resnet":
            rows = images(path)
        case "counts":
            rows = counts(path)
        case "table":
            rows = large.write_table(path)
        case "dense":
            rows = large.write_dense(path)
        case _:
            rows = payment(f"{kind.removeprefix('v')}.0.0", folder)
    (folder / f"{name}.rows.json").write_text(json.dumps(rows))


if __name__ == "__main__":
    main()
