"""A valid message for every gRPC method, and a valid body for every path with a body. The tests then corrupt them."""

import struct

import numpy as np
import orjson

from runtime.protobuf import delimited, varint
from tests.runtime.protocols.torchserve.requests import npy

ROWS = [[1.0, 2.0], [3.0, 4.0]]
FLOATS = np.array(ROWS, np.float32)
_MODEL = delimited(1, b"m")
_SPEC = delimited(1, _MODEL)
_OIP_INPUT = delimited(1, b"x") + delimited(2, b"FP32") + delimited(3, b"\x02\x02")
_TENSOR = b"\x08\x01" + delimited(2, delimited(2, b"\x08\x02") * 2) + delimited(5, FLOATS.tobytes())
_FEATURE = delimited(1, delimited(1, b"x") + delimited(2, delimited(2, delimited(1, struct.pack("<2f", 1, 2)))))
_EXAMPLES = delimited(2, delimited(1, delimited(1, delimited(1, _FEATURE)) * 2))
_TASK = delimited(1, _SPEC + delimited(2, b"tensorflow/serving/regress"))
_INFER = _MODEL + delimited(3, b"id") + delimited(5, _OIP_INPUT) + delimited(7, FLOATS.tobytes())
_TYPED = _MODEL + delimited(5, _OIP_INPUT + delimited(5, delimited(6, FLOATS.tobytes())))

CALLS = {
    "/ml.v1.InferenceService/Predict": _MODEL + delimited(2, FLOATS.tobytes()),
    "/ml.v1.InferenceService/BatchPredict": delimited(1, _MODEL + delimited(2, FLOATS.tobytes())) * 2,
    "/inference.GRPCInferenceService/ModelInfer": _INFER,
    "/inference.GRPCInferenceService/ModelStreamInfer": _TYPED,
    "/inference.GRPCInferenceService/ModelMetadata": _MODEL,
    "/inference.GRPCInferenceService/ModelStatistics": _MODEL,
    "/inference.GRPCInferenceService/RepositoryIndex": b"\x10\x01",
    "/inference.GRPCInferenceService/SystemSharedMemoryRegister": _MODEL,
    "/org.pytorch.serve.grpc.openinference.GRPCInferenceService/ModelInfer": _TYPED,
    "/tensorflow.serving.PredictionService/Predict": _SPEC + delimited(2, delimited(1, b"x") + delimited(2, _TENSOR)),
    "/tensorflow.serving.PredictionService/Classify": _SPEC + _EXAMPLES,
    "/tensorflow.serving.PredictionService/Regress": _SPEC + _EXAMPLES,
    "/tensorflow.serving.PredictionService/MultiInference": _TASK + _EXAMPLES,
    "/tensorflow.serving.PredictionService/GetModelMetadata": _SPEC + delimited(2, b"signature_def"),
    "/tensorflow.serving.ModelService/GetModelStatus": _SPEC,
    "/org.pytorch.serve.grpc.inference.InferenceAPIsService/Predictions": _MODEL
    + delimited(3, delimited(1, b"data") + delimited(2, orjson.dumps(ROWS))),
    "/org.pytorch.serve.grpc.inference.InferenceAPIsService/Ping": b"",
    "/grpc.health.v1.Health/Check": _MODEL,
    "/grpc.health.v1.Health/List": b"",
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo": delimited(7, b"*"),
}


def frame(message: bytes, *, flag: int = 0, size: int | None = None) -> bytes:
    """Return a message in a frame. `size` overrides the size in the frame."""
    return bytes([flag]) + (len(message) if size is None else size).to_bytes(4, "big") + message


def invalid_npy(shape: str, descr: str = "'<f4'") -> bytes:
    """Return the bytes of four numbers after a header with any shape and type."""
    header = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + FLOATS.tobytes()


MULTIPART = "multipart/form-data; boundary=zz"
_JSON = "application/json"
_PART = b'--zz\r\ncontent-disposition: form-data; name="data"\r\n\r\n'
_OIP = {"name": "x", "datatype": "FP32", "shape": [2, 2], "data": [1, 2, 3, 4]}
_EVENT = {"specversion": "1.0", "id": "1", "source": "/s", "type": "t", "x": 1, "data": {"inputs": ROWS}}
BODIES = {  # path and content type -> a body
    ("/api/v1/models/m/predict", _JSON): orjson.dumps({"inputs": ROWS}),
    ("/v2/models/m/infer", _JSON): orjson.dumps({"id": "1", "inputs": [_OIP], "outputs": [{"name": "y"}]}),
    ("/v2/repository/index", _JSON): b'{"ready":true}',
    ("/v1/models/m:predict", _JSON): orjson.dumps({"signature_name": "serving_default", "instances": ROWS}),
    ("/v1/models/m/versions/1:predict", _JSON): b'{"inputs":{"x":[[NaN,-Infinity]]}}',
    ("/v1/models/m:classify", _JSON): b'{"context":{"y":1},"examples":[{"x":[1.5,2]},{"x":[1.5,{"b64":"AA=="}]}]}',
    ("/v1/models/m:regress", _JSON): b'{"examples":[{"x":[1.5,2.5]}]}',
    ("/predictions/m", _JSON): orjson.dumps({"inputs": ROWS}),
    ("/predictions/m", "application/x-npy"): npy(FLOATS),
    ("/predictions/m", "application/octet-stream"): FLOATS.tobytes(),
    ("/predictions/m", "text/plain"): b"[[1, 2]]",
    ("/predictions/m/1", MULTIPART): _PART + b"[[1,2]]\r\n--zz--\r\n",
    ("/predictions/m", "application/x-www-form-urlencoded"): b"data=%5B%5B1%2C2%5D%5D",
    ("/invocations", _JSON): orjson.dumps(ROWS),
    ("/events", "application/cloudevents+json"): orjson.dumps(_EVENT),
}


def numbers(*values: int) -> bytes:
    """Return concatenated varints."""
    return b"".join(map(varint, values))
