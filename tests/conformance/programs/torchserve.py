"""A client of TorchServe as its examples have it, in an environment of its own: grpcio's stubs, and requests.

    torchserve.py PROTOS FOLDER    compiles PROTOS into FOLDER, then answers each line of standard input with one

A line is a JSON object: {"call": "grpc", "method", "target", ...} or {"call": "rest", "url", ...}; bytes are in base64.
"""

import base64
import json
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import grpc
import grpc_tools  # type: ignore[import-not-found] # in the clients' environment alone
import requests
from grpc_tools import protoc


def stubs(protos: str, folder: str) -> tuple[ModuleType, ModuleType]:
    """The modules that grpc_tools makes of TorchServe's inference.proto."""
    shipped = Path(grpc_tools.__file__).parent / "_proto"
    files = ["torchserve_inference.proto", "google_rpc.proto"]
    paths = [f"-I{protos}", f"-I{shipped}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
    assert protoc.main(["protoc", *paths, *files]) == 0
    sys.path.insert(0, folder)
    return import_module("torchserve_inference_pb2"), import_module("torchserve_inference_pb2_grpc")


def over_grpc(asked: dict[str, Any]) -> dict[str, str]:
    """One call, as ts_scripts/torchserve_grpc_client.py makes it."""
    from google.protobuf.empty_pb2 import Empty

    with grpc.insecure_channel(asked["target"], options=[("grpc.enable_http_proxy", 0)]) as channel:
        stub = SERVICES.InferenceAPIsServiceStub(channel)
        try:
            if asked["method"] == "Ping":
                return {"health": stub.Ping(Empty(), timeout=20).health}
            request = MESSAGES.PredictionsRequest(
                model_name=asked["model_name"],
                model_version=asked.get("model_version", ""),
                input={name: base64.b64decode(value) for name, value in asked["input"].items()},
            )
            compression = grpc.Compression.Gzip if asked.get("gzip") else None
            answer = stub.Predictions(request, timeout=20, compression=compression)
            return {"prediction": answer.prediction.decode()}
        except grpc.RpcError as error:
            return {"code": error.code().name, "details": error.details()}


def over_rest(asked: dict[str, Any]) -> dict[str, Any]:
    """One request, as the inference API's documentation makes it."""
    session = requests.Session()
    session.trust_env = False
    options: dict[str, Any] = {"timeout": 20}
    if "files" in asked:
        options["files"] = {name: base64.b64decode(value) for name, value in asked["files"].items()}
    if "data" in asked:
        options["data"] = base64.b64decode(asked["data"])
    if "fields" in asked:
        options["data"] = asked["fields"]
    if "json" in asked:
        options["json"] = asked["json"]
    answer = session.post(asked["url"], **options)
    return {"status": answer.status_code, "body": answer.json()}


MESSAGES, SERVICES = stubs(*sys.argv[1:])
for line in sys.stdin:
    asked = json.loads(line)
    answer = over_grpc(asked) if asked["call"] == "grpc" else over_rest(asked)
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
