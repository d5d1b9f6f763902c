"""Inference requests in every form of every protocol: one float32 tensor `x` in, one float32 `y` out, model `m`."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from itertools import count
from typing import Any, NamedTuple, Protocol

import grpc
import httpx
import numpy as np

from runtime.frontends.catalogue import PROTOCOLS
from runtime.protocols.protos import ml_v1_pb2 as ml
from runtime.protocols.protos import open_inference_pb2 as oip
from runtime.protocols.protos import tensorflow_pb2 as tf
from runtime.protocols.protos import tensorflow_serving_pb2 as tfs
from runtime.protocols.protos import torchserve_inference_pb2 as torch
from tests.waiting import DEADLINE

F32 = np.float32
LENGTH = "inference-header-content-length"


class Server(Protocol):
    """A server, with a client for its REST paths and a channel to its gRPC services."""

    def client(self) -> AbstractContextManager[httpx.Client]:
        """Return a client with the server's URL as its base URL."""

    def channel(self) -> AbstractContextManager[grpc.Channel]:
        """Return a channel to the same port."""


class Answer(NamedTuple):
    """The output, and the headers or the initial metadata of the answer."""

    output: np.ndarray
    headers: Mapping[str, str]


class Dialect(NamedTuple):
    """One form of a protocol. `protocol` is its name in the catalogue, or "predict" for our own."""

    protocol: str
    form: str
    send: Callable[[Server, np.ndarray], Answer]
    over: str = "rest"

    def __str__(self) -> str:
        return f"{self.protocol}-{self.form}"


def served_dialects() -> list[Dialect]:
    """Return the dialects of the protocols that are served."""
    served = {"predict", *(protocol.name for protocol in PROTOCOLS)}
    return [dialect for dialect in _DIALECTS if dialect.protocol in served and _is_mounted(dialect)]


def _is_mounted(dialect: Dialect) -> bool:
    """Whether the protocol is served over REST or gRPC, as the dialect needs it."""
    return dialect.protocol == "predict" or any(
        (protocol.grpc if dialect.over == "grpc" else protocol.rest)
        for protocol in PROTOCOLS
        if protocol.name == dialect.protocol
    )


def _json(
    path: str, wrap: Callable[[Any], object], unwrap: Callable[[Any], Any]
) -> Callable[[Server, np.ndarray], Answer]:
    """Return a function that sends JSON to `path`. `wrap` builds the document; `unwrap` extracts the output."""

    def send(server: Server, x: np.ndarray) -> Answer:
        with server.client() as client:
            response = _checked(client.post(path, json=wrap(x.tolist()), timeout=DEADLINE))
        return Answer(np.array(unwrap(response.json()), F32).reshape(len(x), -1), response.headers)

    return send


def _checked(response: httpx.Response) -> httpx.Response:
    assert response.status_code == 200, f"{response.status_code}: {response.text}"
    return response


def _open_inference_binary(server: Server, x: np.ndarray) -> Answer:
    tensor = {"name": "x", "datatype": "FP32", "shape": x.shape, "parameters": {"binary_data_size": x.nbytes}}
    document = {"inputs": [tensor], "parameters": {"binary_data_output": True}}
    head = httpx.Request("POST", "http://x", json=document).content
    with server.client() as client:
        headers = {LENGTH: str(len(head)), "content-type": "application/octet-stream"}
        body = head + x.tobytes()
        response = _checked(client.post("/v2/models/m/infer", content=body, headers=headers, timeout=DEADLINE))
    data = response.content[int(response.headers.get(LENGTH, 0)) :]
    return Answer(np.frombuffer(data, F32).reshape(len(x), -1), response.headers)


def _call(
    server: Server,
    path: str,
    request: Any,  # noqa: ANN401 - a message
    kind: Any,  # noqa: ANN401 - a message's class
) -> tuple[Any, Mapping[str, str]]:
    with server.channel() as channel:
        call = channel.unary_unary(path, lambda message: message.SerializeToString(), kind.FromString)
        message, facts = call.with_call(request, timeout=DEADLINE)
        return message, dict(facts.initial_metadata())


def _ml_v1(server: Server, x: np.ndarray) -> Answer:
    request = ml.PredictRequest(model_name="m", inputs=x.ravel())
    message, metadata = _call(server, "/ml.v1.InferenceService/Predict", request, ml.PredictResponse)
    return Answer(np.array(message.outputs, F32).reshape(len(x), -1), metadata)


def _open_inference_grpc(server: Server, x: np.ndarray, *, raw: bool) -> Answer:
    tensor = oip.ModelInferRequest.InferInputTensor(name="x", datatype="FP32", shape=x.shape)
    request = oip.ModelInferRequest(model_name="m", inputs=[tensor])
    if raw:
        request.raw_input_contents.append(x.tobytes())
    else:
        request.inputs[0].contents.fp32_contents.extend(x.ravel().tolist())
    path = "/inference.GRPCInferenceService/ModelInfer"
    message, metadata = _call(server, path, request, oip.ModelInferResponse)
    return Answer(np.frombuffer(message.raw_output_contents[0], F32).reshape(len(x), -1), metadata)


def _tensorflow_grpc(server: Server, x: np.ndarray, *, content: bool) -> Answer:
    shape = tf.TensorShapeProto(dim=[tf.TensorShapeProto.Dim(size=size) for size in x.shape])
    tensor = tf.TensorProto(dtype=tf.DT_FLOAT, tensor_shape=shape)
    if content:
        tensor.tensor_content = x.tobytes()
    else:
        tensor.float_val.extend(x.ravel().tolist())
    request = tfs.PredictRequest(model_spec=tfs.ModelSpec(name="m"), inputs={"x": tensor})
    path = "/tensorflow.serving.PredictionService/Predict"
    message, metadata = _call(server, path, request, tfs.PredictResponse)
    return Answer(np.array(message.outputs["y"].float_val, F32).reshape(len(x), -1), metadata)


def _torchserve_grpc(server: Server, x: np.ndarray) -> Answer:
    data = httpx.Request("POST", "http://x", json=x.tolist()).content
    request = torch.PredictionsRequest(model_name="m", input={"data": data})
    path = "/org.pytorch.serve.grpc.inference.InferenceAPIsService/Predictions"
    message, metadata = _call(server, path, request, torch.PredictionResponse)
    return Answer(np.array(httpx.Response(200, content=message.prediction).json(), F32).reshape(len(x), -1), metadata)


def _event(server: Server, x: np.ndarray, *, structured: bool) -> Answer:
    attributes = {
        "specversion": "1.0",
        "id": str(next(_IDS)),
        "source": "/tests",
        "type": "com.example.rows",
        "mlmodel": "m",
    }
    with server.client() as client:
        if structured:
            headers = {"content-type": "application/cloudevents+json"}
            event = attributes | {"data": {"inputs": x.tolist()}}
            response = _checked(client.post("/events", json=event, headers=headers, timeout=DEADLINE))
            output = response.json()["data"]["outputs"]
        else:
            headers = {f"ce-{name}": value for name, value in attributes.items()}
            response = _checked(client.post("/", json={"inputs": x.tolist()}, headers=headers, timeout=DEADLINE))
            output = response.json()["outputs"]
    return Answer(np.array(output, F32).reshape(len(x), -1), response.headers)


def _flat(rows: list[list[float]]) -> Mapping[str, object]:
    data = [number for row in rows for number in row]
    return {"inputs": [{"name": "x", "datatype": "FP32", "shape": [len(rows), len(rows[0])], "data": data}]}


_V1 = "/v1/models/m:predict"
_IDS = count(1)  # of events: one with a known id would get the earlier reply
_DIALECTS = (
    Dialect("predict", "rows", _json("/api/v1/models/m/predict", lambda x: {"inputs": x}, lambda y: y["outputs"])),
    Dialect("ml.v1", "grpc", _ml_v1, "grpc"),
    Dialect("open_inference", "json", _json("/v2/models/m/infer", _flat, lambda y: y["outputs"][0]["data"])),
    Dialect("open_inference", "binary", _open_inference_binary),
    Dialect("open_inference", "grpc-raw", lambda *arguments: _open_inference_grpc(*arguments, raw=True), "grpc"),
    Dialect("open_inference", "grpc-typed", lambda *arguments: _open_inference_grpc(*arguments, raw=False), "grpc"),
    Dialect("tensorflow_serving", "rows", _json(_V1, lambda x: {"instances": x}, lambda y: y["predictions"])),
    Dialect("tensorflow_serving", "columns", _json(_V1, lambda x: {"inputs": {"x": x}}, lambda y: y["outputs"])),
    Dialect(
        "tensorflow_serving", "grpc-content", lambda *arguments: _tensorflow_grpc(*arguments, content=True), "grpc"
    ),
    Dialect(
        "tensorflow_serving", "grpc-values", lambda *arguments: _tensorflow_grpc(*arguments, content=False), "grpc"
    ),
    Dialect("kserve_v1", "instances", _json(_V1, lambda x: {"instances": x}, lambda y: y["predictions"])),
    Dialect("torchserve", "json", _json("/predictions/m", lambda x: x, lambda y: y)),
    Dialect("torchserve", "grpc", _torchserve_grpc, "grpc"),
    Dialect("cloudevents", "binary", lambda *arguments: _event(*arguments, structured=False)),
    Dialect("cloudevents", "structured", lambda *arguments: _event(*arguments, structured=True)),
)
