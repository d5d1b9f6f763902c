"""Tests of TensorFlow Serving over gRPC with its clients."""

import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import psutil
import pytest
from onnx import TensorProto

from runtime.protocols.protos import tensorflow_pb2 as tf
from runtime.protocols.protos import tensorflow_serving_pb2 as pb
from tests import ROOT, models
from tests.clients import SCRIPTS, interpreter
from tests.conformance import programs
from tests.runtime.frontends.conftest import Served, free_port, serving
from tests.waiting import DEADLINE

PROTOS = ROOT / "runtime" / "protocols" / "protos"
LIMIT = 1_000_000  # bytes; the largest message
ELEMENTS = {
    "float16": TensorProto.FLOAT16,
    "float32": TensorProto.FLOAT,
    "float64": TensorProto.DOUBLE,
    "int8": TensorProto.INT8,
    "int16": TensorProto.INT16,
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
    "uint8": TensorProto.UINT8,
    "uint16": TensorProto.UINT16,
    "uint32": TensorProto.UINT32,
    "uint64": TensorProto.UINT64,
    "bool": TensorProto.BOOL,
}
TYPES = {**ELEMENTS, "string": TensorProto.STRING}


@pytest.fixture(scope="module")
def types(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A model that returns its inputs, of every type."""
    folder = tmp_path_factory.mktemp("types")
    with serving(folder, models.identities(folder / "m.onnx", TYPES), SCALEZERO_MODEL_VERSION="7") as served:
        yield served


@pytest.fixture(scope="module")
def scoring(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A model that classifies and regresses `a` and `b`."""
    folder = tmp_path_factory.mktemp("scoring")
    with serving(
        folder,
        models.scored(folder / "m.onnx"),
        SCALEZERO_MODEL_VERSION="7",
        SCALEZERO_MAX_BODY_BYTES=str(LIMIT),
    ) as served:
        yield served


@pytest.fixture
def channel(scoring: Served) -> Iterator[grpc.Channel]:
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(f"127.0.0.1:{scoring.port}", options) as channel:
        yield channel


def example_arrays(elements: Iterable[str] = ELEMENTS, text: str = "é") -> dict[str, np.ndarray]:
    """Return an array of strings, and one of each numeric type, with its extreme values."""
    arrays: dict[str, np.ndarray] = {"x_string": np.array([text, "", "long " * 5])}
    for name in elements:
        dtype = np.dtype(name)
        if dtype.kind == "f":
            limits = np.finfo(dtype)
            arrays[f"x_{name}"] = np.array([limits.min, limits.max, 0.1], dtype)
        elif dtype.kind == "b":
            arrays[f"x_{name}"] = np.array([True, False, True])
        else:
            whole = np.iinfo(dtype)
            arrays[f"x_{name}"] = np.array([whole.min, whole.max, 1], dtype)
    return arrays


def run_client(
    served: Served, python: Path, script: str, folder: Path, arrays: dict[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], Any]:
    """Run a client with these arrays; return the outputs, and its other results."""
    np.savez(folder / "given.npz", **arrays)  # type: ignore[arg-type] # a name may be a parameter of savez
    results = programs.run([python, SCRIPTS / script, str(served.port), folder / "given.npz", folder / "got.npz"])
    return dict(np.load(folder / "got.npz")), results


def assert_returned(outputs: dict[str, np.ndarray], arrays: dict[str, np.ndarray]) -> None:
    assert len(outputs) == len(arrays)
    for name, array in arrays.items():
        returned = outputs[f"y{name[1:]}"]
        if name == "x_string":
            texts = [each.decode() if isinstance(each, bytes) else each for each in returned.tolist()]
            assert texts == array.tolist()
        else:
            assert (returned.dtype, returned.tobytes()) == (array.dtype, array.tobytes())


def test_ovmsclient_gets_every_type_back(types: Served, tmp_path: Path) -> None:
    python = interpreter("ovmsclient", "ovmsclient==2023.1")
    outputs, results = run_client(types, python, "ovmsclient_calls.py", tmp_path, example_arrays())
    assert_returned(outputs, example_arrays())
    assert results["versioned"]
    available = {"state": "AVAILABLE", "error_code": 0, "error_message": ""}
    assert results["status"] == results["status_versioned"] == {"7": available}
    metadata = results["metadata"]
    assert metadata["model_version"] == 7
    assert metadata["inputs"]["x_float32"] == {"shape": [-1], "dtype": "DT_FLOAT"}
    assert metadata["outputs"]["y_string"] == {"shape": [-1], "dtype": "DT_STRING"}
    assert results["unknown_model"][0] == "ModelNotFoundError"
    assert "Servable not found for request: Latest(x)" in results["unknown_model"][1]
    assert "Servable not found for request: Specific(m, 5)" in results["unknown_version"][1]
    assert results["missing"][0] == "InvalidInputError"
    assert "Missing but required: {x_bool,x_float16" in results["missing"][1]


def test_min_tfs_client_gets_every_type_back_that_it_can_send(tmp_path: Path) -> None:
    """It reads only the field of the type, and only ASCII. It sends float16 as numbers instead of bits."""
    python = interpreter("min-tfs-client", "min-tfs-client==1.0.2", "protobuf>=3.20,<4")
    elements = {name: element for name, element in TYPES.items() if name != "float16"}
    arrays = example_arrays((name for name in ELEMENTS if name != "float16"), text="text")
    with serving(tmp_path, models.identities(tmp_path / "m.onnx", elements), SCALEZERO_MODEL_VERSION="7") as served:
        outputs, results = run_client(served, python, "min_tfs_client_calls.py", tmp_path, arrays)
    assert_returned(outputs, arrays)
    assert results == {
        "model": "m",
        "version": 7,
        "signature": "serving_default",
        "unknown_model": ["NOT_FOUND", "Servable not found for request: Latest(x)"],
    }


def test_every_method_answers_stubs_with_the_public_names_and_numbers(scoring: Served, tmp_path: Path) -> None:
    python = interpreter("grpcio", "grpcio-tools==1.85.1")
    names = ["tensorflow.proto", "tensorflow_error.proto", "tensorflow_serving.proto"]
    out = [f"--python_out={tmp_path}", f"--grpc_python_out={tmp_path}"]
    subprocess.run([python, "-m", "grpc_tools.protoc", f"-I{PROTOS}", *out, *names], check=True, timeout=DEADLINE)
    results = programs.run([python, SCRIPTS / "tensorflow_stubs_calls.py", str(scoring.port), tmp_path])
    spec = {"name": "m", "version": "7", "signature_name": "serving_default"}
    scores = results["predict"]["outputs"]["scores"]
    assert scores == {
        "dtype": "DT_FLOAT",
        "tensor_shape": {"dim": [{"size": "1"}, {"size": "2"}]},
        "float_val": [2.0, 4.0],
    }
    assert results["predict"]["model_spec"] == spec
    assert set(results["filtered"]["outputs"]) == {"value"}
    assert results["missing"] == [
        "INVALID_ARGUMENT",
        "input size does not match signature: 1!=2 len({a}) != len({a,b}). Sent extra: {}. Missing but required: {b}.",
    ]
    assert results["signature"] == ["FAILED_PRECONDITION", 'Serving signature key "s" not found.']
    classes = {"classes": [{"label": "0", "score": 2.0}, {"label": "1", "score": 4.0}]}
    assert results["classify"] == {"result": {"classifications": [classes, classes]}, "model_spec": spec}
    regressions = {"regressions": [{"value": 6.0}, {"value": 6.0}]}
    assert results["regress"] == {"result": regressions, "model_spec": spec}
    assert results["multi"]["results"] == [
        {"model_spec": spec, "classification_result": results["classify"]["result"]},
        {"model_spec": spec, "regression_result": regressions},
    ]
    signature = results["metadata"]["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["method_name"] == "tensorflow/serving/predict"
    assert set(signature["inputs"]) == {"a", "b"}
    assert results["status"] == {"model_version_status": [{"version": "7", "state": "AVAILABLE", "status": {}}]}
    assert results["no_status"] == ["NOT_FOUND", "Could not find any versions of model x"]
    assert results["reload"][0] == "UNIMPLEMENTED"
    assert "deploy another revision" in results["reload"][1]


def test_the_nodejs_client_gets_its_answers(scoring: Served) -> None:
    command, variables = programs.node("grpc_js_calls.js", "@grpc/grpc-js@1.14.7", "@grpc/proto-loader@0.8.1")
    results = programs.run([*command, str(scoring.port), PROTOS], **variables)
    assert results["answer"]["outputs"]["scores"]["float_val"] == [2, 4]
    assert results["second"]["outputs"]["scores"]["float_val"] == [6, 9]
    assert results["unknown"] == [5, "Servable not found for request: Latest(x)"]


def unary_method(channel: grpc.Channel, method: str, kind: Any, service: str = "PredictionService") -> Any:  # noqa: ANN401
    return channel.unary_unary(
        f"/tensorflow.serving.{service}/{method}",
        request_serializer=lambda message: message if isinstance(message, bytes) else message.SerializeToString(),
        response_deserializer=kind.FromString,
    )


def tensor(rows: np.ndarray) -> tf.TensorProto:
    sizes = [tf.TensorShapeProto.Dim(size=size) for size in rows.shape]
    shape = tf.TensorShapeProto(dim=sizes)
    return tf.TensorProto(dtype=tf.DT_FLOAT, tensor_shape=shape, tensor_content=rows.astype(np.float32).tobytes())


def request(a: np.ndarray, b: np.ndarray) -> pb.PredictRequest:
    return pb.PredictRequest(model_spec=pb.ModelSpec(name="m"), inputs={"a": tensor(a), "b": tensor(b)})


def call_error(call: Any, message: object) -> tuple[str, str]:  # noqa: ANN401 - grpcio has no types
    with pytest.raises(grpc.RpcError) as raised:
        call(message, timeout=DEADLINE)
    error: Any = raised.value
    return error.code().name, error.details()


@pytest.mark.parametrize("rows", [1, 20_000])
@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip])
def test_messages_of_every_size_are_answered(channel: grpc.Channel, rows: int, compression: object) -> None:
    a, b = np.random.default_rng(1).normal(size=(2, rows, 2)).astype(np.float32)
    predict = unary_method(channel, "Predict", pb.PredictResponse)
    answer = predict(request(a, b), timeout=DEADLINE, compression=compression)
    assert np.array(answer.outputs["scores"].float_val, np.float32).tobytes() == (a + b).tobytes()


def test_metadata_is_answered_to_a_compressed_request_too(channel: grpc.Channel) -> None:
    call = unary_method(channel, "GetModelMetadata", pb.GetModelMetadataResponse)
    message = pb.GetModelMetadataRequest(model_spec=pb.ModelSpec(name="m"), metadata_field=["signature_def"])
    assert call(message, timeout=DEADLINE) == call(message, timeout=DEADLINE, compression=grpc.Compression.Gzip)


@pytest.mark.parametrize(
    "message",
    [
        b"\xff",
        request(np.zeros((1, 2)), np.zeros((1, 2))).SerializeToString()[:-3],
        pb.PredictRequest(
            model_spec=pb.ModelSpec(name="m"),
            inputs={
                name: tf.TensorProto(
                    dtype=tf.DT_FLOAT,
                    tensor_shape=tf.TensorShapeProto(dim=[{"size": 2**40}, {"size": 2}]),
                )
                for name in "ab"
            },
        ).SerializeToString(),
        pb.PredictRequest(
            model_spec=pb.ModelSpec(name="m"),
            inputs={
                name: tf.TensorProto(dtype=tf.DT_FLOAT, tensor_shape=tf.TensorShapeProto(dim=[{"size": -1}]))
                for name in "ab"
            },
        ).SerializeToString(),
        b"\x12\x00" * 400_000,  # many empty inputs
    ],
    ids=["no message", "truncated", "elements without a value", "negative size", "many empty inputs"],
)
def test_an_invalid_message_is_an_invalid_argument(channel: grpc.Channel, scoring: Served, message: bytes) -> None:
    before = memory(scoring)
    assert call_error(unary_method(channel, "Predict", pb.PredictResponse), message)[0] == "INVALID_ARGUMENT"
    assert memory(scoring) - before < 64 * 2**20


def test_unknown_fields_are_ignored(channel: grpc.Channel) -> None:
    message = request(np.ones((1, 2)), np.ones((1, 2))).SerializeToString() + b"\xa2\x06\x03abc"
    answer = unary_method(channel, "Predict", pb.PredictResponse)(message, timeout=DEADLINE)
    assert list(answer.outputs["scores"].float_val) == [2, 2]


def test_a_model_that_loads_on_its_first_request_is_available_and_described(tmp_path: Path) -> None:
    with serving(tmp_path, models.scored(tmp_path / "m.onnx"), SCALEZERO_LOAD="lazy") as served:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
        with grpc.insecure_channel(f"127.0.0.1:{served.port}", options) as channel:
            spec = pb.ModelSpec(name="m")
            status = unary_method(channel, "GetModelStatus", pb.GetModelStatusResponse, "ModelService")
            [item] = status(pb.GetModelStatusRequest(model_spec=spec), timeout=DEADLINE).model_version_status
            assert item.state == pb.ModelVersionStatus.AVAILABLE
            metadata = unary_method(channel, "GetModelMetadata", pb.GetModelMetadataResponse)
            answer = metadata(
                pb.GetModelMetadataRequest(model_spec=spec, metadata_field=["signature_def"]), timeout=DEADLINE
            )
            assert answer.model_spec.name == "m"


def test_bfloat16_is_sent_and_returned_as_bits(tmp_path: Path) -> None:
    """The other clients do not support the type. TensorFlow's own client sends it in half_val."""
    model = models.identities(tmp_path / "m.onnx", {"bfloat16": TensorProto.BFLOAT16})
    bits = np.array([0x3F80, 0x8000, 0x7F80, 0x0001], np.uint16)  # 1, -0, infinity, the smallest
    shape = tf.TensorShapeProto(dim=[tf.TensorShapeProto.Dim(size=len(bits))])
    with serving(tmp_path, model) as served:
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
        with grpc.insecure_channel(f"127.0.0.1:{served.port}", options) as channel:
            predict = unary_method(channel, "Predict", pb.PredictResponse)
            for form in ({"half_val": bits.tolist()}, {"tensor_content": bits.tobytes()}):
                given = tf.TensorProto(dtype=tf.DT_BFLOAT16, tensor_shape=shape, **form)
                message = pb.PredictRequest(model_spec=pb.ModelSpec(name="m"), inputs={"x_bfloat16": given})
                output = predict(message, timeout=DEADLINE).outputs["y_bfloat16"]
                assert (output.dtype, list(output.half_val)) == (tf.DT_BFLOAT16, bits.tolist())


def test_a_folder_of_versions_is_served_as_by_the_container(tmp_path: Path) -> None:
    """`model_spec.version` is the number of the folder; 0 (sent by ovmsclient for no version) is the highest one."""
    for version, make in ((1, models.doubling), (2, models.heavy)):
        (tmp_path / "models" / "m" / str(version)).mkdir(parents=True)
        make(tmp_path / "models" / "m" / str(version) / "model.onnx")
    port = free_port()
    with serving(
        tmp_path,
        MODEL_BASE_PATH=str(tmp_path / "models"),
        MODEL_NAME="m",
        SCALEZERO_MODEL_VERSIONS="all",
        SCALEZERO_LISTEN=f"tensorflow_serving@127.0.0.1:{port}",
    ):
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)]
        with grpc.insecure_channel(f"127.0.0.1:{port}", options) as channel:
            predict = unary_method(channel, "Predict", pb.PredictResponse)

            def predict_version(**version: object) -> tuple[list[float], int]:
                spec = pb.ModelSpec(name="m", **version)  # type: ignore[arg-type]
                message = pb.PredictRequest(model_spec=spec, inputs={"x": tensor(np.ones((1, 2)))})
                answer = predict(message, timeout=DEADLINE)
                return list(answer.outputs["y"].float_val), answer.model_spec.version.value

            assert predict_version(version={"value": 1}) == ([2, 2], 1)
            assert (
                predict_version(version={"value": 2})
                == predict_version(version={"value": 0})
                == predict_version()
                == ([1, 1], 2)
            )
            unknown = pb.PredictRequest(model_spec=pb.ModelSpec(name="m", version={"value": 3}))
            assert call_error(predict, unknown) == ("NOT_FOUND", "Servable not found for request: Specific(m, 3)")
            status = unary_method(channel, "GetModelStatus", pb.GetModelStatusResponse, "ModelService")
            every = status(pb.GetModelStatusRequest(model_spec=pb.ModelSpec(name="m")), timeout=DEADLINE)
            assert [each.version for each in every.model_version_status] == [2, 1]
            other = channel.unary_unary("/ml.v1.InferenceService/Predict")
            assert call_error(other, b"")[0] == "UNIMPLEMENTED"


def memory(served: Served) -> int:
    return int(psutil.Process(served.process.pid).memory_info().rss)
