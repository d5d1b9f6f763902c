"""One tensor in, one tensor out, in every form of every protocol: float32 `x` to float32 `y`, of the model `m`."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import grpc
import httpx
import numpy as np

from runtime.frontends.catalogue import PROTOCOLS
from runtime.protocols.protos import ml_v1_pb2 as ml
from runtime.protocols.protos import open_inference_pb2 as oip
from runtime.protocols.protos import tensorflow_pb2 as tf
from runtime.protocols.protos import tensorflow_serving_pb2 as tfs
from runtime.protocols.protos import torchserve_inference_pb2 as torch
from tests.frontends.conftest import Served

F32 = np.float32
DEADLINE = 60.0  # seconds
LENGTH = "inference-header-content-length"


class Answer(NamedTuple):
    """The output, and the Server-Timing that came with it."""

    output: np.ndarray
    timing: str


class Dialect(NamedTuple):
    """One form: the protocol's name in the catalogue ("predict": our own), and how it is asked."""

    protocol: str
    form: str
    ask: Callable[[Served, np.ndarray], Answer]
    over: str = "rest"

    def __str__(self) -> str:
        return f"{self.protocol}-{self.form}"


def every() -> list[Dialect]:
    """The dialects of the protocols that are served."""
    there = {"predict", *(protocol.name for protocol in PROTOCOLS)}
    return [dialect for dialect in _DIALECTS if dialect.protocol in there and _is_mounted(dialect)]


def _is_mounted(dialect: Dialect) -> bool:
    """Whether the protocol is served that way."""
    return dialect.protocol == "predict" or any(
        (protocol.grpc if dialect.over == "grpc" else protocol.rest)
        for protocol in PROTOCOLS
        if protocol.name == dialect.protocol
    )


def _json(
    path: str, wrap: Callable[[Any], object], unwrap: Callable[[Any], Any]
) -> Callable[[Served, np.ndarray], Answer]:
    """A JSON document to `path`: `wrap` makes it of the nested lists, `unwrap` finds them in the answer."""

    def ask(served: Served, x: np.ndarray) -> Answer:
        with served.client() as client:
            response = client.post(path, json=wrap(x.tolist()), timeout=DEADLINE)
        return _answer(response, np.array(unwrap(response.json()), F32).reshape(len(x), -1))

    return ask


def _answer(response: httpx.Response, output: np.ndarray) -> Answer:
    assert response.status_code == 200, response.text
    return Answer(output, response.headers["server-timing"])


def _open_inference_binary(served: Served, x: np.ndarray) -> Answer:
    tensor = {"name": "x", "datatype": "FP32", "shape": x.shape, "parameters": {"binary_data_size": x.nbytes}}
    document = {"inputs": [tensor], "parameters": {"binary_data_output": True}}
    head = httpx.Request("POST", "http://x", json=document).content
    with served.client() as client:
        headers = {LENGTH: str(len(head)), "content-type": "application/octet-stream"}
        response = client.post("/v2/models/m/infer", content=head + x.tobytes(), headers=headers, timeout=DEADLINE)
    data = response.content[int(response.headers.get(LENGTH, 0)) :]
    return _answer(response, np.frombuffer(data, F32).reshape(len(x), -1))


def _calling(served: Served, path: str, request: Any, kind: Any) -> tuple[Any, str]:  # noqa: ANN401 - messages
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(f"127.0.0.1:{served.port}", options) as channel:
        call = channel.unary_unary(path, lambda message: message.SerializeToString(), kind.FromString)
        message, facts = call.with_call(request, timeout=DEADLINE)
        return message, dict(facts.initial_metadata())["server-timing"]


def _ml_v1(served: Served, x: np.ndarray) -> Answer:
    request = ml.PredictRequest(model_name="m", inputs=x.ravel())
    message, timing = _calling(served, "/ml.v1.InferenceService/Predict", request, ml.PredictResponse)
    return Answer(np.array(message.outputs, F32).reshape(len(x), -1), timing)


def _open_inference_grpc(served: Served, x: np.ndarray, *, raw: bool) -> Answer:
    tensor = oip.ModelInferRequest.InferInputTensor(name="x", datatype="FP32", shape=x.shape)
    request = oip.ModelInferRequest(model_name="m", inputs=[tensor])
    if raw:
        request.raw_input_contents.append(x.tobytes())
    else:
        request.inputs[0].contents.fp32_contents.extend(x.ravel().tolist())
    path = "/inference.GRPCInferenceService/ModelInfer"
    message, timing = _calling(served, path, request, oip.ModelInferResponse)
    return Answer(np.frombuffer(message.raw_output_contents[0], F32).reshape(len(x), -1), timing)


def _tensorflow_grpc(served: Served, x: np.ndarray, *, content: bool) -> Answer:
    shape = tf.TensorShapeProto(dim=[tf.TensorShapeProto.Dim(size=size) for size in x.shape])
    tensor = tf.TensorProto(dtype=tf.DT_FLOAT, tensor_shape=shape)
    if content:
        tensor.tensor_content = x.tobytes()
    else:
        tensor.float_val.extend(x.ravel().tolist())
    request = tfs.PredictRequest(model_spec=tfs.ModelSpec(name="m"), inputs={"x": tensor})
    path = "/tensorflow.serving.PredictionService/Predict"
    message, timing = _calling(served, path, request, tfs.PredictResponse)
    return Answer(np.array(message.outputs["y"].float_val, F32).reshape(len(x), -1), timing)


def _torchserve_grpc(served: Served, x: np.ndarray) -> Answer:
    data = httpx.Request("POST", "http://x", json=x.tolist()).content
    request = torch.PredictionsRequest(model_name="m", input={"data": data})
    path = "/org.pytorch.serve.grpc.inference.InferenceAPIsService/Predictions"
    message, timing = _calling(served, path, request, torch.PredictionResponse)
    return Answer(np.array(httpx.Response(200, content=message.prediction).json(), F32).reshape(len(x), -1), timing)


def _flat(rows: list[list[float]]) -> Mapping[str, object]:
    data = [number for row in rows for number in row]
    return {"inputs": [{"name": "x", "datatype": "FP32", "shape": [len(rows), len(rows[0])], "data": data}]}


_V1 = "/v1/models/m:predict"
_DIALECTS = (
    Dialect("predict", "rows", _json("/api/v1/models/m/predict", lambda x: {"inputs": x}, lambda y: y["outputs"])),
    Dialect("ml.v1", "grpc", _ml_v1, "grpc"),
    Dialect("open_inference", "json", _json("/v2/models/m/infer", _flat, lambda y: y["outputs"][0]["data"])),
    Dialect("open_inference", "binary", _open_inference_binary),
    Dialect("open_inference", "grpc-raw", lambda *asked: _open_inference_grpc(*asked, raw=True), "grpc"),
    Dialect("open_inference", "grpc-typed", lambda *asked: _open_inference_grpc(*asked, raw=False), "grpc"),
    Dialect("tensorflow_serving", "rows", _json(_V1, lambda x: {"instances": x}, lambda y: y["predictions"])),
    Dialect("tensorflow_serving", "columns", _json(_V1, lambda x: {"inputs": {"x": x}}, lambda y: y["outputs"])),
    Dialect("tensorflow_serving", "grpc-content", lambda *asked: _tensorflow_grpc(*asked, content=True), "grpc"),
    Dialect("tensorflow_serving", "grpc-values", lambda *asked: _tensorflow_grpc(*asked, content=False), "grpc"),
    Dialect("kserve_v1", "instances", _json(_V1, lambda x: {"instances": x}, lambda y: y["predictions"])),
    Dialect("torchserve", "json", _json("/predictions/m", lambda x: x, lambda y: y)),
    Dialect("torchserve", "grpc", _torchserve_grpc, "grpc"),
)
