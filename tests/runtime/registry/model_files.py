"""Model files to publish, and their digests."""

import hashlib
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


def model(folder: Path, name: str = "model.onnx", *, value: float = 1.0, external: bool = False) -> Path:
    """Write a model that adds a constant; if `external`, with its weights in a second file."""
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        "add",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 1])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 1])],
        [numpy_helper.from_array(np.full((1, 1), value, np.float32), "w")],
    )
    folder.mkdir(parents=True, exist_ok=True)
    opsets = [helper.make_opsetid("", 17)]
    made = helper.make_model(graph, opset_imports=opsets, ir_version=8)
    onnx.save(made, folder / name, save_as_external_data=external, location="weights.bin", size_threshold=0)
    return folder / name


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
