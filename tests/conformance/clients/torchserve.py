"""TorchServe's clients as in its examples, controlled by lines of JSON; see triton_client.py.

gRPC uses the stubs that grpc_tools generates from TorchServe's inference.proto; REST uses requests. Bytes are in
base64.
"""

import base64
import json
import sys
import tempfile
from importlib import import_module
from pathlib import Path

import grpc
import grpc_tools
import requests
from google.protobuf.empty_pb2 import Empty
from grpc_tools import protoc

PROTOS = Path(__file__).parents[3] / "runtime" / "protocols" / "protos"


def stubs(folder):
    paths = [PROTOS, Path(grpc_tools.__file__).parent / "_proto"]
    made = [f"--python_out={folder}", f"--grpc_python_out={folder}"]
    files = ["torchserve_inference.proto", "google_rpc.proto"]
    assert protoc.main(["protoc", *(f"-I{path}" for path in paths), *made, *files]) == 0
    sys.path.insert(0, folder)
    return import_module("torchserve_inference_pb2"), import_module("torchserve_inference_pb2_grpc")


def stub(target):
    channel = grpc.insecure_channel(target, options=[("grpc.enable_http_proxy", 0)])
    return channel, SERVICES.InferenceAPIsServiceStub(channel)


def ping(target):
    channel, service = stub(target)
    with channel:
        return service.Ping(Empty(), timeout=60).health


def predict(target, model_name, input, *, model_version="", gzip=False):
    channel, service = stub(target)
    request = MESSAGES.PredictionsRequest(
        model_name=model_name,
        model_version=model_version,
        input={name: base64.b64decode(value) for name, value in input.items()},
    )
    with channel:
        compression = grpc.Compression.Gzip if gzip else None
        return service.Predictions(request, timeout=60, compression=compression).prediction.decode()


def stream(target, requests, *, method="StreamPredictions2"):
    channel, service = stub(target)
    made = [
        MESSAGES.PredictionsRequest(
            model_name=each["model_name"],
            input={"data": base64.b64decode(each["data"])},
            sequence_id=each.get("sequence_id"),
        )
        for each in requests
    ]
    with channel:
        answers = getattr(service, method)(made[0] if method == "StreamPredictions" else iter(made), timeout=60)
        return [
            {
                "prediction": each.prediction.decode(),
                "sequence_id": each.sequence_id,
                "code": each.status.code,
                "message": each.status.message,
            }
            for each in answers
        ]


def post(url, *, data=None, files=None, fields=None, document=None):
    session = requests.Session()
    session.trust_env = False
    answer = session.post(
        url,
        data=base64.b64decode(data) if data is not None else fields,
        files=files and {name: base64.b64decode(value) for name, value in files.items()},
        json=document,
        timeout=60,
    )
    return {"status": answer.status_code, "body": answer.json()}


def main():
    for line in sys.stdin:
        request = json.loads(line)
        try:
            call = {"ping": ping, "predict": predict, "stream": stream, "post": post}[request.pop("call")]
            answer = {"result": call(**request)}
        except grpc.RpcError as error:
            answer = {"error": {"type": "RpcError", "text": error.details(), "status": error.code().name}}
        print(json.dumps(answer), flush=True)


with tempfile.TemporaryDirectory() as made:
    MESSAGES, SERVICES = stubs(made)
    main()
