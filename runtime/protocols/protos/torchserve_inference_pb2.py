"""Made by scripts/protos from torchserve_inference.proto; a change here is lost when it runs again."""

from google.protobuf import empty_pb2
from runtime.protocols.protos import google_rpc_pb2
from runtime.protocols.protos.pool import define

DESCRIPTOR = define(
    globals(),
    b'\n\x1atorchserve_inference.proto\x12 org.pytorch.serve.grpc.inference\x1a\x1bgoogle/protobuf/empty.proto'
    b'\x1a\x10google_rpc.proto"\xe7\x01\n\x12PredictionsRequest\x12\x12\n\nmodel_name\x18\x01 \x01(\t\x12\x15\n\r'
    b'model_version\x18\x02 \x01(\t\x12N\n\x05input\x18\x03 \x03(\x0b2?.org.pytorch.serve.grpc.inference.Predicti'
    b'onsRequest.InputEntry\x12\x18\n\x0bsequence_id\x18\x04 \x01(\tH\x00\x88\x01\x01\x1a,\n\nInputEntry\x12\x0b'
    b'\n\x03key\x18\x01 \x01(\t\x12\r\n\x05value\x18\x02 \x01(\x0c:\x028\x01B\x0e\n\x0c_sequence_id"\x86\x01\n'
    b'\x12PredictionResponse\x12\x12\n\nprediction\x18\x01 \x01(\x0c\x12\x18\n\x0bsequence_id\x18\x02 \x01(\tH'
    b"\x00\x88\x01\x01\x12'\n\x06status\x18\x03 \x01(\x0b2\x12.google.rpc.StatusH\x01\x88\x01\x01B\x0e\n\x0c_sequ"
    b'ence_idB\t\n\x07_status"*\n\x18TorchServeHealthResponse\x12\x0e\n\x06health\x18\x01 \x01(\t2\xf8\x03\n\x14I'
    b'nferenceAPIsService\x12Z\n\x04Ping\x12\x16.google.protobuf.Empty\x1a:.org.pytorch.serve.grpc.inference.Torc'
    b'hServeHealthResponse\x12y\n\x0bPredictions\x124.org.pytorch.serve.grpc.inference.PredictionsRequest\x1a4.or'
    b'g.pytorch.serve.grpc.inference.PredictionResponse\x12\x81\x01\n\x11StreamPredictions\x124.org.pytorch.serve'
    b'.grpc.inference.PredictionsRequest\x1a4.org.pytorch.serve.grpc.inference.PredictionResponse0\x01\x12\x84'
    b'\x01\n\x12StreamPredictions2\x124.org.pytorch.serve.grpc.inference.PredictionsRequest\x1a4.org.pytorch.serv'
    b'e.grpc.inference.PredictionResponse(\x010\x01b\x06proto3',
    imports=[empty_pb2.DESCRIPTOR, google_rpc_pb2.DESCRIPTOR],
)
