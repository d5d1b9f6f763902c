"""Tests of imported Deployments of TensorFlow Serving and TorchServe: their clients get the same answers."""

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import yaml

from runtime.protocols.protos import ml_v1_pb2 as ml
from runtime.protocols.protos import tensorflow_pb2 as tf
from runtime.protocols.protos import tensorflow_serving_pb2 as tfs
from runtime.protocols.protos import torchserve_inference_pb2 as torch
from tests import ROOT, models
from tests.e2e.functions import reduce_requests
from tests.e2e.namespace import Namespace
from tests.e2e.speaking import call_unary, connected

SPEC = ROOT / "tests" / "knative" / "resources" / "spec"
ROWS, DOUBLED = [[1.0, 2.0], [3.0, 4.0]], [[2.0, 4.0], [6.0, 8.0]]


def import_and_apply(own: Namespace, name: str, folder: Path) -> Path:
    """Import the Deployment of this name and follow its README; return the new folder."""
    own.local("import", SPEC / f"{name}.yaml", folder, "--registry", f"s3://models/{own.name}")
    made = folder / name
    reduce_requests(made / "func.yaml")
    version = next(each for each in yaml.safe_load_all((made / "model.yaml").read_text()) if "storage" in each["spec"])
    own.local("publish", models.doubling(folder / "doubling.onnx"), version["spec"]["storage"]["path"])
    own.scalezero("apply", "-f", made)
    return made


def send_documented_request(readme: Path, url: str) -> Any:  # noqa: ANN401 - any JSON value
    """Send the request in the README to the URL; return the answer."""
    (command,) = re.findall(r"^ +(curl .+)$", readme.read_text(), re.MULTILINE)
    done = subprocess.run(shlex.split(command.replace("URL", url)), stdout=subprocess.PIPE, check=True, timeout=60)
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def tensorflow(own: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return import_and_apply(own, "tensorflow-serving", tmp_path_factory.mktemp("tensorflow"))


@pytest.fixture(scope="module")
def torchserve(own: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return import_and_apply(own, "pytorch-serve", tmp_path_factory.mktemp("torchserve"))


@pytest.mark.parametrize("route", ["payment-model", "tensorflow-serving"], ids=["model", "deployment"])
def test_a_client_of_tensorflow_serving_can_use_both_names(own: Namespace, tensorflow: Path, route: str) -> None:
    url = own.get("Route", route)["status"]["url"]
    assert send_documented_request(tensorflow / "README.md", url) == {"predictions": DOUBLED}
    tensor = tf.TensorProto(dtype=tf.DT_FLOAT, float_val=np.ravel(ROWS))
    tensor.tensor_shape.dim.extend(tf.TensorShapeProto.Dim(size=size) for size in np.shape(ROWS))
    spec = tfs.ModelSpec(name="payment-model")
    request = tfs.PredictRequest(model_spec=spec, inputs={"x": tensor})
    with connected(url) as function:
        answer = call_unary(function, "/tensorflow.serving.PredictionService/Predict", request, tfs.PredictResponse)
        status = function.rest.get("/v1/models/payment-model/versions/1").json()["model_version_status"]
    assert list(answer.outputs["y"].float_val) == list(np.ravel(DOUBLED))
    assert answer.model_spec.version.value == 1
    assert [(each["version"], each["state"]) for each in status] == [("1", "AVAILABLE")]


def test_a_client_of_torchserve_is_answered(own: Namespace, torchserve: Path) -> None:
    url = own.url("pytorch-serve")
    assert send_documented_request(torchserve / "README.md", url) == DOUBLED
    service = "/org.pytorch.serve.grpc.inference.InferenceAPIsService"
    request = torch.PredictionsRequest(model_name="pytorch-serve", input={"data": json.dumps(ROWS).encode()})
    with connected(url) as function:
        answer = call_unary(function, f"{service}/Predictions", request, torch.PredictionResponse)
        assert json.loads(answer.prediction) == DOUBLED
        assert function.rest.get("/ping").json() == {"status": "Healthy"}
        assert function.rest.post("/predictions/nobody", json=ROWS).status_code == 404


def test_protocols_that_the_deployment_did_not_have_are_not_served(own: Namespace, torchserve: Path) -> None:
    assert "torchserve" in (torchserve / "func.yaml").read_text()
    with connected(own.url("pytorch-serve")) as function:
        assert function.rest.get("/v2/models/pytorch-serve").status_code == 404
        with pytest.raises(grpc.RpcError) as refused:
            call_unary(
                function, "/ml.v1.InferenceService/Predict", ml.PredictRequest(inputs=[1, 2]), ml.PredictResponse
            )
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
