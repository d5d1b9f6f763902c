"""The users' Deployments of TensorFlow Serving and TorchServe, imported and applied: clients notice no difference."""

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
from tests.e2e.functions import small
from tests.e2e.namespace import Namespace
from tests.e2e.speaking import called, reached

SPEC = ROOT / "tests" / "knative" / "resources" / "spec"
ROWS, DOUBLED = [[1.0, 2.0], [3.0, 4.0]], [[2.0, 4.0], [6.0, 8.0]]


def applied(own: Namespace, name: str, folder: Path) -> Path:
    """Import the Deployment of that name and do what its README says; the folder that was made."""
    own.local("import", SPEC / f"{name}.yaml", folder, "--registry", f"s3://models/{own.name}")
    made = folder / name
    small(made / "func.yaml")
    version = next(each for each in yaml.safe_load_all((made / "model.yaml").read_text()) if "storage" in each["spec"])
    own.local("publish", models.doubling(folder / "doubling.onnx"), version["spec"]["storage"]["path"])
    own.scalezero("apply", "-f", made)
    return made


def shown(readme: Path, url: str) -> Any:  # noqa: ANN401 - any JSON value
    """What the request that the README shows is answered at the URL."""
    (command,) = re.findall(r"^ +(curl .+)$", readme.read_text(), re.MULTILINE)
    done = subprocess.run(shlex.split(command.replace("URL", url)), stdout=subprocess.PIPE, check=True, timeout=60)
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def tensorflow(own: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return applied(own, "tensorflow-serving", tmp_path_factory.mktemp("tensorflow"))


@pytest.fixture(scope="module")
def torchserve(own: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return applied(own, "pytorch-serve", tmp_path_factory.mktemp("torchserve"))


@pytest.mark.parametrize("route", ["payment-model", "tensorflow-serving"], ids=["model", "deployment"])
def test_a_client_of_tensorflow_serving_is_answered_under_both_names(
    own: Namespace, tensorflow: Path, route: str
) -> None:
    url = own.get("Route", route)["status"]["url"]
    assert shown(tensorflow / "README.md", url) == {"predictions": DOUBLED}
    tensor = tf.TensorProto(dtype=tf.DT_FLOAT, float_val=np.ravel(ROWS))
    tensor.tensor_shape.dim.extend(tf.TensorShapeProto.Dim(size=size) for size in np.shape(ROWS))
    spec = tfs.ModelSpec(name="payment-model")
    request = tfs.PredictRequest(model_spec=spec, inputs={"x": tensor})
    with reached(url) as function:
        answer = called(function, "/tensorflow.serving.PredictionService/Predict", request, tfs.PredictResponse)
        status = function.rest.get("/v1/models/payment-model/versions/1").json()["model_version_status"]
    assert list(answer.outputs["y"].float_val) == list(np.ravel(DOUBLED))
    assert answer.model_spec.version.value == 1
    assert [(each["version"], each["state"]) for each in status] == [("1", "AVAILABLE")]


def test_a_client_of_torchserve_is_answered(own: Namespace, torchserve: Path) -> None:
    url = own.url("pytorch-serve")
    assert shown(torchserve / "README.md", url) == DOUBLED
    service = "/org.pytorch.serve.grpc.inference.InferenceAPIsService"
    request = torch.PredictionsRequest(model_name="pytorch-serve", input={"data": json.dumps(ROWS).encode()})
    with reached(url) as function:
        answer = called(function, f"{service}/Predictions", request, torch.PredictionResponse)
        assert json.loads(answer.prediction) == DOUBLED
        assert function.rest.get("/ping").json() == {"status": "Healthy"}
        assert function.rest.post("/predictions/nobody", json=ROWS).status_code == 404


def test_a_protocol_that_the_deployment_did_not_speak_is_not_served(own: Namespace, torchserve: Path) -> None:
    assert "torchserve" in (torchserve / "func.yaml").read_text()
    with reached(own.url("pytorch-serve")) as function:
        assert function.rest.get("/v2/models/pytorch-serve").status_code == 404
        with pytest.raises(grpc.RpcError) as refused:
            called(function, "/ml.v1.InferenceService/Predict", ml.PredictRequest(inputs=[1, 2]), ml.PredictResponse)
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED
