"""GetModelMetadata and GetModelStatus: the answers about a model, and the messages of their errors."""

import numpy as np
import pytest

from runtime.errors import InvalidInput, RefusedInput, ScalezeroError, StoreUnreachable, UnsupportedOperation
from runtime.model.signature import Signature
from runtime.protocols.protos import tensorflow_error_pb2 as error_pb
from runtime.protocols.protos import tensorflow_pb2 as tf
from runtime.protocols.protos import tensorflow_serving_pb2 as pb
from runtime.protocols.tensorflow_serving import grpc_models
from runtime.protocols.tensorflow_serving.messages import Target
from runtime.protocols.tensorflow_serving.model_status import version_status
from runtime.tensors import TensorSpec

State = pb.ModelVersionStatus
SPEC = pb.ModelSpec(name="m")


def no_zero(_: str) -> bool:
    return False


def test_metadata_is_the_signature_of_the_model() -> None:
    inputs = (TensorSpec("x", np.dtype("f4"), ("n", 30)), TensorSpec("k", np.dtype("i8"), ()))
    outputs = (
        TensorSpec("y", np.dtype(object), None),
        TensorSpec("p", np.dtype("f4"), None, ("sequence", "map of int64")),
    )
    answer = pb.GetModelMetadataResponse.FromString(grpc_models.metadata("m", "7", Signature(inputs, outputs)))
    assert (answer.model_spec.name, answer.model_spec.version.value) == ("m", 7)
    packed = answer.metadata["signature_def"]
    assert packed.type_url == "type.googleapis.com/tensorflow.serving.SignatureDefMap"
    default = pb.SignatureDefMap.FromString(packed.value).signature_def["serving_default"]
    assert default.method_name == "tensorflow/serving/predict"
    x, k, y = default.inputs["x"], default.inputs["k"], default.outputs["y"]
    assert (x.name, x.dtype, [dim.size for dim in x.tensor_shape.dim]) == ("x", tf.DT_FLOAT, [-1, 30])
    assert (k.dtype, k.HasField("tensor_shape"), list(k.tensor_shape.dim)) == (tf.DT_INT64, True, [])
    assert (y.dtype, y.tensor_shape.unknown_rank) == (tf.DT_STRING, True)
    assert set(default.outputs) == {"y"}  # TensorFlow has no maps


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (pb.GetModelMetadataRequest(metadata_field=["signature_def"]), "Missing ModelSpec"),
        (pb.GetModelMetadataRequest(model_spec=SPEC), "must specify at least one metadata_field"),
        (
            pb.GetModelMetadataRequest(model_spec=SPEC, metadata_field=["signature_def", "x"]),
            "Metadata field x is not supported",
        ),
    ],
)
def test_other_metadata_is_refused_with_tensorflow_servings_message(
    request_: pb.GetModelMetadataRequest, expected: str
) -> None:
    with pytest.raises(RefusedInput, match=expected):
        grpc_models.metadata_request(request_.SerializeToString(), no_zero)


def test_requests_for_metadata_and_states_may_name_a_version() -> None:
    spec = pb.ModelSpec(name="m", version={"value": 5})
    message = pb.GetModelMetadataRequest(model_spec=spec, metadata_field=["signature_def"]).SerializeToString()
    assert grpc_models.metadata_request(message, no_zero) == Target("m", 5, "serving_default")
    message = pb.GetModelStatusRequest(model_spec=spec).SerializeToString()
    assert grpc_models.status_request(message, no_zero) == Target("m", 5, "serving_default")
    with pytest.raises(InvalidInput, match="expected a GetModelStatusRequest"):
        grpc_models.status_request(b"\xff", no_zero)


@pytest.mark.parametrize(
    ("state", "error", "expected"),
    [
        ("not_loaded", None, (State.AVAILABLE, error_pb.OK, "")),  # its first request loads it
        ("loading", StoreUnreachable("s3://b/m", "no route"), (State.LOADING, error_pb.OK, "")),
        ("ready", None, (State.AVAILABLE, error_pb.OK, "")),
        ("failed", None, (State.END, error_pb.OK, "")),
        (
            "failed",
            StoreUnreachable("s3://b/m", "no route"),
            (State.END, error_pb.UNAVAILABLE, "s3://b/m: no route"),
        ),
    ],
)
def test_a_version_has_a_state_and_the_error_of_its_load(
    state: str, error: ScalezeroError | None, expected: tuple[int, int, str]
) -> None:
    status = version_status(state, error)
    [item] = pb.GetModelStatusResponse.FromString(grpc_models.status([("7", status)])).model_version_status
    assert (item.state, item.status.error_code, item.status.error_message) == expected
    assert item.version == 7
    assert (status.state, status.code) == (State.State.Name(item.state), error_pb.Code.Name(item.status.error_code))


def test_another_configuration_is_refused_with_the_reason() -> None:
    with pytest.raises(UnsupportedOperation, match="HandleReloadConfigRequest is not supported: a process serves"):
        grpc_models.reload_config(b"")
