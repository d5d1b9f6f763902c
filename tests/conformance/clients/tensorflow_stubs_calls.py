"""Calls through protoc's stubs of the .proto files. Arguments: `PORT FOLDER`, where FOLDER has the stubs. Prints JSON.

The stubs have their own classes, with the same names and numbers as those of the server.
"""

import json
import sys

import grpc

port, folder = sys.argv[1:]
sys.path.insert(0, folder)
import tensorflow_pb2 as tf  # noqa: E402
import tensorflow_serving_pb2 as pb  # noqa: E402
import tensorflow_serving_pb2_grpc as services  # noqa: E402
from google.protobuf.json_format import MessageToDict  # noqa: E402

channel = grpc.insecure_channel(f"127.0.0.1:{port}")
prediction, models = services.PredictionServiceStub(channel), services.ModelServiceStub(channel)
M = pb.ModelSpec(name="m")
ROW = tf.TensorProto(
    dtype=tf.DT_FLOAT,
    tensor_shape=tf.TensorShapeProto(dim=[tf.TensorShapeProto.Dim(size=1), tf.TensorShapeProto.Dim(size=2)]),
    float_val=[1, 2],
)
EXAMPLE = tf.Example()
for name in ("a", "b"):
    EXAMPLE.features.feature[name].float_list.value.extend([1, 2])
INPUT = pb.Input(example_list=pb.ExampleList(examples=[EXAMPLE, EXAMPLE]))
TASKS = [pb.InferenceTask(model_spec=M, method_name=f"tensorflow/serving/{each}") for each in ("classify", "regress")]
CALLS = {
    "predict": (prediction.Predict, pb.PredictRequest(model_spec=M, inputs={"a": ROW, "b": ROW})),
    "filtered": (
        prediction.Predict,
        pb.PredictRequest(model_spec=M, inputs={"a": ROW, "b": ROW}, output_filter=["value"]),
    ),
    "missing": (prediction.Predict, pb.PredictRequest(model_spec=M, inputs={"a": ROW})),
    "signature": (
        prediction.Predict,
        pb.PredictRequest(model_spec=pb.ModelSpec(name="m", signature_name="s"), inputs={"a": ROW, "b": ROW}),
    ),
    "classify": (prediction.Classify, pb.ClassificationRequest(model_spec=M, input=INPUT)),
    "regress": (prediction.Regress, pb.RegressionRequest(model_spec=M, input=INPUT)),
    "multi": (prediction.MultiInference, pb.MultiInferenceRequest(tasks=TASKS, input=INPUT)),
    "metadata": (
        prediction.GetModelMetadata,
        pb.GetModelMetadataRequest(model_spec=M, metadata_field=["signature_def"]),
    ),
    "status": (models.GetModelStatus, pb.GetModelStatusRequest(model_spec=M)),
    "no_status": (models.GetModelStatus, pb.GetModelStatusRequest(model_spec=pb.ModelSpec(name="x"))),
    "reload": (models.HandleReloadConfigRequest, pb.ReloadConfigRequest()),
}


def answer(method: object, request: object) -> object:
    """Return the response as JSON, or the code and the text of an error."""
    try:
        return MessageToDict(method(request, timeout=60), preserving_proto_field_name=True)  # type: ignore[operator]
    except grpc.RpcError as error:
        return [error.code().name, error.details()]


sys.stdout.write(json.dumps({name: answer(*call) for name, call in CALLS.items()}))
