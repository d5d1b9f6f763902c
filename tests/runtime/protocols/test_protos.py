"""The messages agree with the public protos, and can coexist with other packages that define the same names."""

import importlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor

import runtime.protocols.protos
from runtime.protocols.protos import (
    google_rpc_pb2,
    grpc_health_v1_pb2,
    ml_v1_pb2,
    open_inference_pb2,
    tensorflow_pb2,
    tensorflow_serving_pb2,
    torchserve_inference_pb2,
)
from runtime.protocols.protos.pool import POOL, Method, define, methods
from tests import ROOT

FOLDER = Path(runtime.protocols.protos.__file__).parent
NAMES = sorted(path.stem for path in FOLDER.glob("*.proto"))
PUBLIC = Path(__file__).with_name("public_protos.txt")
TYPES = {
    int(number): name.removeprefix("TYPE_").lower() for name, number in descriptor_pb2.FieldDescriptorProto.Type.items()
}
# KServe answers its RepositoryModelLoad with these, Triton with an empty message; the table contains Triton's.
KSERVE = {
    "inference.RepositoryModelLoadResponse.model_name": "1 string",
    "inference.RepositoryModelLoadResponse.isLoaded": "2 bool",
    "inference.RepositoryModelUnloadResponse.model_name": "1 string",
    "inference.RepositoryModelUnloadResponse.isUnloaded": "2 bool",
}
# TorchServe's package defines the messages of the Open Inference Protocol once more; ours refers to them.
TORCHSERVE = {
    "/org.pytorch.serve.grpc.openinference.GRPCInferenceService/"
    + call: f"inference.{call}Request -> inference.{call}Response"
    for call in ("ServerLive", "ServerReady", "ServerMetadata", "ModelReady", "ModelMetadata", "ModelInfer")
}
OURS = {
    "/ml.v1.InferenceService/Predict": "ml.v1.PredictRequest -> ml.v1.PredictResponse",
    "/ml.v1.InferenceService/BatchPredict": "ml.v1.BatchPredictRequest -> ml.v1.BatchPredictResponse",
    "ml.v1.PredictRequest.model_name": "1 string",
    "ml.v1.PredictRequest.inputs": "2 repeated float",
    "ml.v1.PredictResponse.outputs": "1 repeated float",
    "ml.v1.PredictResponse.latency_ms": "2 float",
    "ml.v1.BatchPredictRequest.requests": "1 repeated ml.v1.PredictRequest",
    "ml.v1.BatchPredictResponse.items": "1 repeated ml.v1.BatchPredictItem",
    "ml.v1.BatchPredictItem.response": "1 ml.v1.PredictResponse in result",
    "ml.v1.BatchPredictItem.error": "2 ml.v1.PredictError in result",
    "ml.v1.PredictError.code": "1 string",
    "ml.v1.PredictError.message": "2 string",
}


def module(name: str) -> ModuleType:
    return importlib.import_module(f"runtime.protocols.protos.{name}_pb2")


def facts(name: str) -> Iterator[tuple[str, str]]:
    """Yield the fields, values and methods that a file of `protos` defines, in the format of the table."""
    file = module(name).DESCRIPTOR
    for enum in file.enum_types_by_name.values():
        yield from values(enum)
    for message in file.message_types_by_name.values():
        yield from parts(message)
    for method in methods(file):
        sides = (method.request, method.streams_requests), (method.response, method.streams_responses)
        yield method.path, " -> ".join("stream " * streams + side.DESCRIPTOR.full_name for side, streams in sides)


def values(enum: EnumDescriptor) -> Iterator[tuple[str, str]]:
    for value in enum.values:
        yield f"{enum.full_name}.{value.name}", str(value.number)


def parts(message: Descriptor) -> Iterator[tuple[str, str]]:
    for enum in message.enum_types:
        yield from values(enum)
    for nested in message.nested_types:
        if not nested.GetOptions().map_entry:
            yield from parts(nested)
    for field in message.fields:
        kind = field.message_type or field.enum_type
        yield (
            field.full_name,
            "".join(
                [
                    f"{field.number} ",
                    "repeated " if field.is_repeated else "",
                    kind.full_name if kind else TYPES[field.type],
                    f" in {field.containing_oneof.name}" if field.containing_oneof else "",
                ]
            ),
        )


def public() -> dict[str, str]:
    rows = [line.partition(" = ") for line in PUBLIC.read_text().splitlines() if line and not line.startswith("#")]
    return {key: value for key, _, value in rows}


def test_each_field_value_and_method_agrees_with_the_public_protos() -> None:
    assert {key: value for name in NAMES for key, value in facts(name)} == public() | KSERVE | TORCHSERVE | OURS


@pytest.mark.timeout(300)  # the first run installs the compiler
def test_the_generated_modules_are_up_to_date(tmp_path: Path) -> None:
    subprocess.run([ROOT / "scripts" / "protos", "--into", tmp_path], check=True)
    assert texts(tmp_path) == texts(FOLDER)
    assert len(texts(FOLDER)) == 2 * len(NAMES)


def texts(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text("utf-8") for path in folder.glob("*_pb2.py*")}


class TestWhereProtocolsDiffer:
    def test_kserves_model_name_to_load_is_read_as_the_repository_name(self) -> None:
        """KServe's model_name is Triton's repository_name on the wire: field 1, a string."""
        got = open_inference_pb2.RepositoryModelLoadRequest.FromString(b"\x0a\x01m")
        assert (got.repository_name, got.model_name) == ("m", "")

    def test_no_version_differs_from_version_zero(self) -> None:
        unset = tensorflow_serving_pb2.ModelSpec(name="m")
        zero = tensorflow_serving_pb2.ModelSpec.FromString(unset.SerializeToString() + b"\x12\x00")
        assert unset.WhichOneof("version_choice") is None
        assert (zero.WhichOneof("version_choice"), zero.version.value) == ("version", 0)

    def test_an_empty_sequence_id_differs_from_none(self) -> None:
        assert not torchserve_inference_pb2.PredictionsRequest().HasField("sequence_id")
        assert torchserve_inference_pb2.PredictionsRequest(sequence_id="").HasField("sequence_id")


class TestPool:
    def test_methods_have_path_messages_and_streams(self) -> None:
        predict, _ = methods(ml_v1_pb2.DESCRIPTOR)
        assert predict == Method(
            path="/ml.v1.InferenceService/Predict",
            request=ml_v1_pb2.PredictRequest,
            response=ml_v1_pb2.PredictResponse,
            streams_requests=False,
            streams_responses=False,
        )
        streams = {
            each.path.rpartition("/")[2]: (each.streams_requests, each.streams_responses)
            for file in (grpc_health_v1_pb2.DESCRIPTOR, open_inference_pb2.DESCRIPTOR)
            for each in methods(file)
            if each.streams_requests or each.streams_responses
        }
        assert streams == {"Watch": (False, True), "ModelStreamInfer": (True, True)}

    def test_enums_are_accessible_as_in_protocs_modules(self) -> None:
        assert tensorflow_pb2.DT_FLOAT == tensorflow_pb2.DataType.Value("DT_FLOAT") == 1
        assert grpc_health_v1_pb2.HealthCheckResponse.SERVING == 1

    def test_a_detail_that_is_packed_into_any_can_be_unpacked(self) -> None:
        status = google_rpc_pb2.Status(code=google_rpc_pb2.INVALID_ARGUMENT)
        reason = google_rpc_pb2.BadRequest(field_violations=[{"field": "inputs[0]"}])
        status.details.add().Pack(reason)
        back = google_rpc_pb2.BadRequest()
        assert google_rpc_pb2.Status.FromString(status.SerializeToString()).details[0].Unpack(back)
        assert back == reason

    def test_a_file_that_contradicts_the_pool_is_refused(self) -> None:
        file = descriptor_pb2.FileDescriptorProto(name="other.proto", package="ml.v1", syntax="proto3")
        file.message_type.add(name="PredictRequest")
        with pytest.raises(TypeError):
            define({}, file.SerializeToString(), imports=[])
        assert POOL.FindFileContainingSymbol("ml.v1.PredictRequest").name == "ml_v1.proto"


OTHERS = """
from google.protobuf import descriptor_pb2, descriptor_pool
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2
others = descriptor_pb2.FileDescriptorProto(name="open_inference.proto", package="inference", syntax="proto3")
others.message_type.add(name="ModelInferRequest").field.add(name="model_name", number=9, type=9, label=1)
descriptor_pool.Default().AddSerializedFile(others.SerializeToString())
"""
OURS_TOO = "from runtime.protocols.protos import google_rpc_pb2, grpc_health_v1_pb2, open_inference_pb2\n"
TALK = """
theirs = health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)
ours = grpc_health_v1_pb2.HealthCheckResponse.FromString(theirs.SerializeToString())
assert ours.status == grpc_health_v1_pb2.HealthCheckResponse.SERVING
status = google_rpc_pb2.Status(code=3, message="no")
status.details.add().Pack(google_rpc_pb2.BadRequest(field_violations=[{"field": "x"}]))
read = status_pb2.Status.FromString(status.SerializeToString())
detail = error_details_pb2.BadRequest()
assert read.details[0].Unpack(detail) and detail.field_violations[0].field == "x"
assert open_inference_pb2.ModelInferRequest.MODEL_NAME_FIELD_NUMBER == 1
"""


@pytest.mark.parametrize("imports", [OTHERS + OURS_TOO, OURS_TOO + OTHERS], ids=["before ours", "after ours"])
def test_packages_that_define_the_same_names_may_be_imported(imports: str) -> None:
    """Google's and gRPC's real modules, and a contradicting file of the same name, as KServe and Triton have it."""
    subprocess.run([sys.executable, "-W", "error", "-c", imports + TALK], check=True, cwd=ROOT)


class TestCost:
    """The cost of a protocol arises at its first use."""

    def test_a_server_starts_without_protobuf(self) -> None:
        code = "import runtime.cli, runtime.frontends.application, sys; print('google.protobuf' in sys.modules)"
        done = subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True, text=True)
        assert done.stdout.split() == ["False"]

    @pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from Linux's /proc")
    def test_all_messages_together_stay_within_eight_mebibytes(self) -> None:
        code = f"""
import importlib, re, pathlib, numpy, onnxruntime
from tests import ROOT
resident = lambda: int(re.search(r"VmRSS:\\s+(\\d+)", pathlib.Path("/proc/self/status").read_text())[1])
before = resident()
for name in {NAMES}: importlib.import_module(f"runtime.protocols.protos.{{name}}_pb2")
print(resident() - before)
"""
        done = subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, capture_output=True, text=True)
        assert 0 < int(done.stdout) < 8 * 1024
