"""Export of a fitted scikit-learn classifier to an ONNX file.

The model of skl2onnx has two outputs: a label, and the probabilities of both classes. Callers need one number, so a
second graph with one node selects the fraud column; merging removes all nodes that this output does not need.
"""

from pathlib import Path

import onnx
from onnx import TensorProto, checker, compose, helper
from onnx.tools.update_model_dims import update_inputs_outputs_dims
from skl2onnx import to_onnx
from skl2onnx.common.data_types import FloatTensorType
from sklearn.pipeline import Pipeline

from functions.payment_model.features import FEATURES

# Old enough for all runtimes of recent years, and the newest that quantization tools support completely.
_OPSET = {"": 17, "ai.onnx.ml": 3}


def export(pipeline: Pipeline, path: Path, *, name: str, version: str) -> None:
    """Write the pipeline to `path` as ONNX: `features` float32 [batch, 30] -> `fraud_score` float32 [batch, 1]."""
    whole = to_onnx(
        pipeline,
        name=name,
        initial_types=[("features", FloatTensorType([None, len(FEATURES)]))],
        options={"zipmap": False},
        target_opset=_OPSET,
    )
    model = compose.merge_models(
        whole,
        _column_of_fraud(whole),
        io_map=[("probabilities", "both")],
        outputs=["fraud_score"],
        name=name,
    )
    model = update_inputs_outputs_dims(model, {"features": ["batch", len(FEATURES)]}, {"fraud_score": ["batch", 1]})
    del model.opset_import[:]  # both graphs have entries
    model.opset_import.extend(_opsets(whole))
    helper.set_model_props(model, {"name": name, "version": version})
    checker.check_model(model, full_check=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, path)


def _column_of_fraud(whole: onnx.ModelProto) -> onnx.ModelProto:
    """Build the graph that selects the fraud column: float32 [batch, 2] -> float32 [batch, 1]."""
    graph = helper.make_graph(
        [helper.make_node("Gather", ["both", "fraud"], ["fraud_score"], axis=1)],
        "column-of-fraud",
        [helper.make_tensor_value_info("both", TensorProto.FLOAT, ["batch", 2])],
        [helper.make_tensor_value_info("fraud_score", TensorProto.FLOAT, ["batch", 1])],
        [helper.make_tensor("fraud", TensorProto.INT64, [1], [1])],
    )
    return helper.make_model(graph, opset_imports=_opsets(whole), ir_version=whole.ir_version)


def _opsets(model: onnx.ModelProto) -> list[onnx.OperatorSetIdProto]:
    """Return each domain once: skl2onnx repeats it for every step of a pipeline."""
    return [helper.make_opsetid(*each) for each in sorted({(used.domain, used.version) for used in model.opset_import})]
