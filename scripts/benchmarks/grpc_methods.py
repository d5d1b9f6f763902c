"""Pure: a row as the request message of a unary gRPC call, and the numbers of its response message."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from runtime.protocols.protos import ml_v1_pb2, open_inference_pb2, tensorflow_pb2, tensorflow_serving_pb2
from scripts.benchmarks.subjects import Row, Subject

PREFIX: Final = 5  # bytes of a frame before its message
CONTENT_TYPE: Final = "application/grpc"


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A gRPC method. `request` builds the message for one row; `outputs` returns the numbers of a response message."""

    path: str
    request: Callable[[Subject, Row], bytes]
    outputs: Callable[[bytes], Sequence[float]]


def framed(message: bytes) -> bytes:
    """Return the body of a call with one uncompressed message."""
    return b"\0" + len(message).to_bytes(4, "big") + message


def _predict(subject: Subject, row: Row) -> bytes:
    message: bytes = ml_v1_pb2.PredictRequest(model_name=subject.name, inputs=row).SerializeToString()
    return message


def _predicted(message: bytes) -> Sequence[float]:
    return list(ml_v1_pb2.PredictResponse.FromString(message).outputs)


def _infer(subject: Subject, row: Row) -> bytes:
    """Build a ModelInferRequest with a raw tensor, as Triton's client does."""
    tensor = {"name": subject.input_name, "datatype": "FP32", "shape": [1, len(row)]}
    raw = np.array(row, "<f4").tobytes()
    request = open_inference_pb2.ModelInferRequest(model_name=subject.name, inputs=[tensor], raw_input_contents=[raw])
    message: bytes = request.SerializeToString()
    return message


def _inferred(message: bytes) -> Sequence[float]:
    response = open_inference_pb2.ModelInferResponse.FromString(message)
    return [number for raw in response.raw_output_contents for number in np.frombuffer(raw, "<f4").tolist()]


def _score(subject: Subject, row: Row) -> bytes:
    """Build a PredictRequest of TensorFlow Serving with a raw tensor, as TensorFlow's make_tensor_proto does."""
    shape = tensorflow_pb2.TensorShapeProto(dim=[{"size": 1}, {"size": len(row)}])
    raw = np.array(row, "<f4").tobytes()
    tensor = tensorflow_pb2.TensorProto(dtype=tensorflow_pb2.DT_FLOAT, tensor_shape=shape, tensor_content=raw)
    spec = tensorflow_serving_pb2.ModelSpec(name=subject.name)
    request = tensorflow_serving_pb2.PredictRequest(model_spec=spec, inputs={subject.input_name: tensor})
    message: bytes = request.SerializeToString()
    return message


def _scored(message: bytes) -> Sequence[float]:
    outputs = tensorflow_serving_pb2.PredictResponse.FromString(message).outputs.values()
    return [number for each in outputs for number in each.float_val or np.frombuffer(each.tensor_content, "<f4")]


ML_V1: Final = Method(path="/ml.v1.InferenceService/Predict", request=_predict, outputs=_predicted)
OPEN_INFERENCE: Final = Method(path="/inference.GRPCInferenceService/ModelInfer", request=_infer, outputs=_inferred)
TENSORFLOW_SERVING: Final = Method(
    path="/tensorflow.serving.PredictionService/Predict", request=_score, outputs=_scored
)
