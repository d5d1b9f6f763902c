"""Tests of every protocol over the function's URL: REST and gRPC on one port, from zero and during a rollout."""

import itertools
import queue
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
import onnxruntime
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from knative.manifests.names import PORT
from knative.objects import SERVING
from runtime.protocols.protos import ml_v1_pb2 as ml
from runtime.protocols.protos import open_inference_pb2 as oip
from runtime.protocols.protos import tensorflow_pb2 as tf
from runtime.protocols.protos import tensorflow_serving_pb2 as tfs
from tests import models
from tests.conformance.dialects import Dialect, served_dialects
from tests.e2e.functions import function_yaml
from tests.e2e.load import ANSWER_TIMEOUT
from tests.e2e.namespace import Namespace, wait_until
from tests.e2e.speaking import Example, Function, call_unary, connected, protocol_load
from tests.e2e.test_serving import TO_ZERO

MODEL, V1, V2 = "m", "m-v1", "m-v2"
SHARES = {
    "1.0.0": 0.5,
    "2.0.0": 0.25,
}  # model version -> the share of its model, so that the versions have different outputs
X = np.array([[1.5, -2.25, 0.1], [3e-20, 16777217.0, -0.0]], np.float32)
DIALECTS = served_dialects()
READY = 180.0  # seconds
SERVICE_LABEL = "serving.knative.dev/service"
INFER = "/inference.GRPCInferenceService/ModelInfer"
STREAM = "/inference.GRPCInferenceService/ModelStreamInfer"

VERSION = """\
apiVersion: ml.example.com/v1
kind: ModelVersion
metadata: {{name: m-v{number}}}
spec: {{modelName: m, version: "{version}", format: onnx, storage: {{type: s3, path: "{path}"}}}}
"""


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Example:
    """An input, and the outputs of ONNX Runtime."""
    folder = tmp_path_factory.mktemp("expected")

    def expected(share: float) -> np.ndarray:
        path = models.rotated(folder / f"{share}.onnx", share=share)
        (output,) = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"x": X})
        return np.asarray(output)

    return Example(x=X, expected={version: expected(share) for version, share in SHARES.items()})


@pytest.fixture(scope="module")
def model(own: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Namespace:
    """The model `m` in two versions, with all traffic to the first, and without a function."""
    folder = tmp_path_factory.mktemp("protocols")
    documents = []
    for number, (version, share) in enumerate(SHARES.items(), start=1):
        path = f"s3://models/{own.name}/m-v{number}.onnx"
        own.local("publish", models.rotated(folder / f"{number}.onnx", share=share), path)
        documents.append(VERSION.format(number=number, version=version, path=path))
    (folder / "model.yaml").write_text("---\n".join(documents))
    (folder / "func.yaml").write_text(function_yaml(MODEL))
    own.scalezero("apply", "-f", folder)
    return own


@pytest.fixture(scope="module")
def function(model: Namespace) -> Iterator[Function]:
    """The first version, at the URL of its tag."""
    with connected(model.url(MODEL, "v1")) as function:
        yield function


def infer_request(x: np.ndarray, name: str = "") -> oip.ModelInferRequest:
    tensor = oip.ModelInferRequest.InferInputTensor(name="x", datatype="FP32", shape=x.shape)
    return oip.ModelInferRequest(model_name=MODEL, id=name, inputs=[tensor], raw_input_contents=[x.tobytes()])


@pytest.mark.parametrize("dialect", DIALECTS, ids=str)
def test_every_form_of_every_protocol_gets_the_models_exact_output(
    function: Function, example: Example, dialect: Dialect
) -> None:
    answer = dialect.send(function, example.x)
    assert example.error(answer) is None
    assert (answer.headers["x-model-version"], answer.headers["x-revision"]) == ("1.0.0", V1)


@pytest.mark.parametrize(("tag", "version", "number"), [("v1", "1.0.0", 1000000), ("v2", "2.0.0", 2000000)])
def test_each_protocol_reports_the_version_of_the_tag_in_its_own_field(
    model: Namespace, tag: str, version: str, number: int
) -> None:
    spec = tfs.ModelSpec(name=MODEL)
    shape = tf.TensorShapeProto(dim=[tf.TensorShapeProto.Dim(size=size) for size in X.shape])
    tensor = tf.TensorProto(dtype=tf.DT_FLOAT, tensor_shape=shape, tensor_content=X.tobytes())
    request = tfs.PredictRequest(model_spec=spec, inputs={"x": tensor})
    document = {"name": "x", "datatype": "FP32", "shape": X.shape, "data": X.ravel().tolist()}
    with connected(model.url(MODEL, tag)) as function:
        over_rest = function.rest.post(f"/v2/models/{MODEL}/infer", json={"inputs": [document]}).json()
        over_grpc = call_unary(function, INFER, infer_request(X), oip.ModelInferResponse)
        of_tensorflow = call_unary(
            function, "/tensorflow.serving.PredictionService/Predict", request, tfs.PredictResponse
        )
        status = function.rest.get(f"/v1/models/{MODEL}").json()
    assert over_rest["model_version"] == over_grpc.model_version == version
    assert of_tensorflow.model_spec.version.value == number
    assert [each["version"] for each in status["model_version_status"]] == [str(number)]


@pytest.mark.parametrize("compression", [grpc.Compression.NoCompression, grpc.Compression.Gzip], ids=["plain", "gzip"])
def test_a_message_larger_than_all_flow_control_windows_is_answered(
    function: Function, compression: grpc.Compression
) -> None:
    x = np.random.default_rng(1).normal(size=(100_000, 3)).astype(np.float32)  # 1.2 MB in each direction
    answer = call_unary(function, INFER, infer_request(x), oip.ModelInferResponse, compression=compression)
    y = np.frombuffer(answer.raw_output_contents[0], np.float32).reshape(x.shape)
    np.testing.assert_array_equal(y, x[:, [2, 0, 1]] + x * np.float32(SHARES["1.0.0"]))


def test_health_is_reported_for_the_server_the_model_and_a_service(function: Function) -> None:
    stub = health_pb2_grpc.HealthStub(function.grpc)
    for name in ("", MODEL, "inference.GRPCInferenceService"):
        answer = stub.Check(health_pb2.HealthCheckRequest(service=name), timeout=ANSWER_TIMEOUT)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_reflection_lists_the_services(function: Function) -> None:
    services = ProtoReflectionDescriptorDatabase(function.grpc).get_services()
    assert {
        "ml.v1.InferenceService",
        "inference.GRPCInferenceService",
        "tensorflow.serving.PredictionService",
        "org.pytorch.serve.grpc.inference.InferenceAPIsService",
    } <= set(services)


def test_a_stream_answers_each_message_before_the_next_is_sent(function: Function, example: Example) -> None:
    """No proxy buffers the body: each message is sent after the answer to the previous one."""
    with streaming(function) as (send, answers):
        for name in ("first", "second", "third"):
            send(infer_request(example.x, name))
            answer = next(answers)
            assert (answer.error_message, answer.infer_response.id) == ("", name)
            assert answer.infer_response.raw_output_contents[0] == example.expected["1.0.0"].tobytes()


class streaming:  # noqa: N801 - a context manager
    """A ModelStreamInfer call: a function that sends a message, and the answers. Its status must be OK at the end."""

    def __init__(self, function: Function) -> None:
        self._function = function
        self._sent: queue.SimpleQueue[oip.ModelInferRequest | None] = queue.SimpleQueue()

    def __enter__(self) -> tuple[Any, Iterator[Any]]:
        call = self._function.grpc.stream_stream(
            STREAM, lambda message: message.SerializeToString(), oip.ModelStreamInferResponse.FromString
        )
        self._call = call(iter(self._sent.get, None), timeout=ANSWER_TIMEOUT)
        return self._sent.put, self._call

    def __exit__(self, *error: object) -> None:
        self._sent.put(None)
        if error[0] is None:
            assert list(self._call) == []
            assert self._call.code() is grpc.StatusCode.OK


def test_an_error_has_its_status_and_its_details(function: Function) -> None:
    request = ml.PredictRequest(model_name="nobody", inputs=[1, 2, 3])
    with pytest.raises(grpc.RpcError) as refused:
        call_unary(function, "/ml.v1.InferenceService/Predict", request, ml.PredictResponse)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    assert "nobody" in refused.value.details()
    details = status_pb2.Status.FromString(dict(refused.value.trailing_metadata())["grpc-status-details-bin"])
    info = error_details_pb2.ErrorInfo()
    assert details.details[0].Unpack(info)
    assert info.reason == "MODEL_NOT_FOUND"


def test_the_first_call_after_zero_is_answered(model: Namespace, example: Example) -> None:
    """A unary call starts one revision, a stream the other."""

    def at_zero(revision: str) -> None:
        wait_until(f"{revision} is at zero", lambda: model.is_at_zero(revision), seconds=TO_ZERO)

    def unary() -> bytes:
        at_zero(V1)
        with connected(model.url(MODEL, "v1")) as function:
            answer = call_unary(function, INFER, infer_request(example.x), oip.ModelInferResponse)
            return bytes(answer.raw_output_contents[0])

    def stream() -> bytes:
        at_zero(V2)
        with connected(model.url(MODEL, "v2")) as function, streaming(function) as (send, answers):
            send(infer_request(example.x))
            return bytes(next(answers).infer_response.raw_output_contents[0])

    with ThreadPoolExecutor(2) as both:
        first, second = both.submit(unary), both.submit(stream)
        assert first.result() == example.expected["1.0.0"].tobytes()
        assert second.result() == example.expected["2.0.0"].tobytes()


def test_concurrent_requests_of_all_protocols_start_a_function_without_failures(
    model: Namespace, example: Example
) -> None:
    wait_until("v1 is at zero", lambda: model.is_at_zero(V1), seconds=TO_ZERO)
    with protocol_load(model.url(MODEL, "v1"), DIALECTS, example, pause=0.5) as tallies:
        wait_until(
            "each was answered", lambda: all(tally.answers for tally in tallies.values()), seconds=ANSWER_TIMEOUT
        )
    assert [tally.failures for tally in tallies.values()] == [[]] * len(DIALECTS)


def test_no_request_of_any_protocol_fails_during_a_rollout(model: Namespace, example: Example) -> None:
    """Each dialect gets answers of both versions, with the exact outputs of the version in the answer."""

    def answered(version: str) -> bool:
        return all(tally.by_revision()[version] for tally in tallies.values())

    with protocol_load(model.url(MODEL), DIALECTS, example, pause=0.25) as tallies:
        wait_until("v1 answers each", lambda: answered("1.0.0"), seconds=READY)
        model.scalezero("rollout", MODEL, "--to", "v2", "--steps", "20,60,100", "--interval", "4")
        wait_until("v2 answers each", lambda: answered("2.0.0"), seconds=READY)
    assert list(itertools.chain(*(tally.failures for tally in tallies.values()))) == []


def test_an_open_stream_keeps_its_revision_when_the_traffic_changes(model: Namespace, example: Example) -> None:
    """All its answers are of one version. The next stream goes to the revision that has the traffic."""
    all_traffic(model, "v2")
    with connected(model.url(MODEL)) as function:
        wait_until("new calls go to v2", lambda: version_now(function) == "2.0.0", seconds=READY)
        with streaming(function) as (send, answers):
            assert versions(send, answers, example) == {"2.0.0"}
            all_traffic(model, "v1")
            wait_until("new calls go to v1", lambda: version_now(function) == "1.0.0", seconds=READY)
            assert versions(send, answers, example) == {"2.0.0"}
        with streaming(function) as (send, answers):
            assert versions(send, answers, example) == {"1.0.0"}


def all_traffic(model: Namespace, tag: str) -> None:
    split = {"v1": 0, "v2": 0, tag: 100}
    model.kn("service", "update", MODEL, "--traffic", ",".join(f"{each}={share}" for each, share in split.items()))


def version_now(function: Function) -> str:
    return str(function.rest.get("/healthz/ready").headers["x-model-version"])


def versions(send: Any, answers: Iterator[Any], example: Example) -> set[str]:  # noqa: ANN401 - grpcio has no types
    """Send three messages; return the versions in the answers, and check that the outputs match them."""
    found = set()
    for _ in range(3):
        send(infer_request(example.x))
        answer = next(answers).infer_response
        assert answer.raw_output_contents[0] == example.expected[answer.model_version].tobytes()
        found.add(answer.model_version)
    return found


def test_no_request_of_any_protocol_fails_if_a_pod_is_deleted(model: Namespace, example: Example) -> None:
    with protocol_load(model.url(MODEL, "v1"), DIALECTS, example, pause=0.25) as tallies:
        wait_until(
            "each was answered", lambda: all(tally.answers for tally in tallies.values()), seconds=ANSWER_TIMEOUT
        )
        (pod,) = model.ready_pods(V1)
        model.kubectl("delete", "pod", pod, "--wait=false")
        wait_until("another pod is ready", lambda: model.ready_pods(V1) not in ([], [pod]), seconds=READY)
        now = time.monotonic()
        wait_until(
            "it answers each", lambda: all(each.since(now).answers for each in tallies.values()), seconds=ANSWER_TIMEOUT
        )
    assert list(itertools.chain(*(tally.failures for tally in tallies.values()))) == []


def test_knative_and_kubernetes_can_probe_a_revision_over_grpc(model: Namespace) -> None:
    """A revision is Ready if the model in its probe is healthy, and not if this model does not exist."""
    apply_with_grpc_probes(model, "unserved", service="nobody")
    apply_with_grpc_probes(model, "probed", service=MODEL)
    wait_until(
        "it is ready", lambda: model.condition("Service", "probed", "Ready").get("status") == "True", seconds=READY
    )
    (pod,) = model.cluster.list("Pod", labels={SERVICE_LABEL: "probed"})
    assert [each["restartCount"] for each in pod["status"]["containerStatuses"]] == [0, 0]
    assert model.condition("Service", "unserved", "Ready")["status"] != "True"
    for name in ("unserved", "probed"):
        model.kn("service", "delete", name)


def apply_with_grpc_probes(model: Namespace, name: str, *, service: str) -> None:
    """Apply a Service like the model's first version, but with gRPC probes."""
    pod = model.get("Revision", V1)["spec"]
    (container,) = pod["containers"]
    container["readinessProbe"] = {"grpc": {"service": service}, "successThreshold": 1}
    container["livenessProbe"] = {"grpc": {"port": PORT}, "periodSeconds": 5, "failureThreshold": 6}
    manifest = {"metadata": {"name": name}, "spec": {"template": {"spec": pod}}}
    model.cluster.apply({"apiVersion": SERVING, "kind": "Service", **manifest})
