"""Reading containers of TensorFlow Serving: entry point, flags and configuration files."""

from typing import Any

import pytest

from knative.importing.server import Server
from knative.importing.tensorflow_serving import READER
from knative.resources.errors import FieldFault
from tests.knative.importing.deployments import env, one

CONFIG = """
model_config_list {
  config { name: 'payment' base_path: '/models/payment' model_platform: 'tensorflow' }
  config { name: "half_plus_two"
           base_path: "s3://bucket/half" }
}
"""
BATCHING = "max_batch_size { value: 128 }\nbatch_timeout_micros: { value: 1500 }\nnum_batch_threads { value: 4 }\n"


def read(files: dict[str, str] | None = None, **fields: Any) -> Server:  # noqa: ANN401 - of a container
    return READER.read(one(**fields), files or {}, "old")


@pytest.mark.parametrize(
    ("fields", "name", "origin"),
    [
        ({"env": env(MODEL_NAME="payment-model", MODEL_BASE_PATH="/m")}, "payment-model", "/m/payment-model"),
        ({}, "model", "/models/model"),
        ({"args": ["--model_name=a", "--model_base_path=s3://b/a"], "env": env(MODEL_NAME="b")}, "a", "s3://b/a"),
        ({"command": ["tensorflow_model_server", "--model_base_path=/m/x"]}, "default", "/m/x"),
        ({"command": ["sh", "-c", "tensorflow_model_server --model_name=$N"], "env": env(N="n")}, "n", "/models/n"),
    ],
)
def test_the_model_is_the_one_that_the_server_loads(fields: dict[str, Any], name: str, origin: str) -> None:
    (model,) = read(**fields).models
    assert (model.name, model.origin) == (name, origin)


@pytest.mark.parametrize(
    ("called", "name"), [("half_plus_two", "half-plus-two"), ("ResNet.50", "resnet-50"), ("7b", "m-7b"), ("_a_", "a")]
)
def test_a_name_is_converted_to_one_that_knative_allows(called: str, name: str) -> None:
    (model,) = read(args=[f"--model_name={called}"]).models
    assert (model.name, model.called) == (name, called)


@pytest.mark.parametrize("called", ["__", 61 * "a", "7" + 58 * "a" + "b"])
def test_a_name_that_cannot_be_converted_is_refused(called: str) -> None:
    with pytest.raises(FieldFault, match="expected a model's name"):
        read(args=[f"--model_name={called}"])


def test_the_models_of_a_configuration_file_are_found_in_a_config_map() -> None:
    server = read({"models.config": CONFIG}, args=["--model_config_file=/etc/tf/models.config"])
    assert [(each.name, each.origin) for each in server.models] == [
        ("payment", "/models/payment"),
        ("half-plus-two", "s3://bucket/half"),
    ]
    assert server.omitted == ()


@pytest.mark.parametrize("files", [{}, {"models.config": "config { name: 'a' }"}])
def test_a_missing_configuration_file_is_reported(files: dict[str, str]) -> None:
    server = read(files, args=["--model_config_file=/etc/tf/models.config"])
    assert [each.name for each in server.models] == ["old"]
    assert [each.what for each in server.omitted] == ["--model_config_file=/etc/tf/models.config"]


def test_batching_parameters_are_found_in_a_config_map() -> None:
    args = ["--enable_batching", "--batching_parameters_file=/etc/tf/batching.txt"]
    (model,) = read({"batching.txt": BATCHING}, args=args).models
    assert (model.batch_size, model.max_wait) == (128, 1500)
    server = read(args=args)
    assert (server.models[0].batch_size, server.models[0].max_wait) == (None, None)
    assert [each.what for each in server.omitted] == [
        "--batching_parameters_file=/etc/tf/batching.txt",
        "--enable_batching",
    ]


@pytest.mark.parametrize(
    ("flag", "what", "why"),
    [
        ("--enable_batching", "--enable_batching", "batchSize and maxWaitTime in model.yaml"),
        ("--enable_batching=true", "--enable_batching", "batchSize and maxWaitTime in model.yaml"),
        ("--enable_batching=false", "--enable_batching=false", "set batchSize to 1"),
    ],
)
def test_enable_batching_is_reported(flag: str, what: str, why: str) -> None:
    (left,) = read(args=[flag]).omitted
    assert left.what == what
    assert why in left.why


@pytest.mark.parametrize(
    ("origin", "copy"),
    [
        ("gs://b/half", "gcloud storage rsync --recursive gs://b/half/VERSION model-saved"),
        ("s3://b/half", "aws s3 sync s3://b/half/VERSION model-saved"),
        ("hdfs://b/half", "# copy hdfs://b/half/VERSION into model-saved"),
    ],
)
def test_a_model_in_a_bucket_is_copied_before_it_is_converted(origin: str, copy: str) -> None:
    (lines,) = read(args=[f"--model_base_path={origin}"]).conversions
    assert copy in lines
    assert lines[-1] == "python -m tf2onnx.convert --saved-model model-saved --output model-v1.onnx"


def test_the_batch_size_is_limited_to_the_maximum() -> None:
    files = {"b": "max_batch_size { value: 100000 }"}
    assert read(files, args=["--batching_parameters_file=b"]).models[0].batch_size == 4096


def test_ports_and_the_timeout_are_those_of_the_flags() -> None:
    server = read(args=["--port=9000", "--rest_api_port=9001", "--rest_api_timeout_in_ms=5000"])
    urls = " ".join(each.before for each in server.urls)
    assert ":9001/v1/models/model:predict" in urls
    assert "gRPC :9000" in urls
    assert server.timeout == 5000
    assert read(args=["--rest_api_timeout_in_ms=soon"]).timeout is None


def test_a_flag_without_an_equivalent_is_reported() -> None:
    server = read(args=["--tensorflow_session_parallelism=4", "--port=1"])
    assert [each.what for each in server.omitted] == ["--tensorflow_session_parallelism"]


def test_two_models_with_the_same_converted_name_are_refused() -> None:
    files = {"c": "name: 'a_b' base_path: '/1' name: 'a-b' base_path: '/2'"}
    with pytest.raises(FieldFault, match="several names become a-b"):
        read(files, args=["--model_config_file=c"])
