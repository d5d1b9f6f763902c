"""Made by scripts/protos from torchserve_open_inference.proto; a change here is lost when it runs again."""

from runtime.protocols.protos import open_inference_pb2
from runtime.protocols.protos.pool import define

DESCRIPTOR = define(
    globals(),
    b'\n\x1ftorchserve_open_inference.proto\x12$org.pytorch.serve.grpc.openinference\x1a\x14open_inference.proto2'
    b'\xf0\x03\n\x14GRPCInferenceService\x12I\n\nServerLive\x12\x1c.inference.ServerLiveRequest\x1a\x1d.inference'
    b'.ServerLiveResponse\x12L\n\x0bServerReady\x12\x1d.inference.ServerReadyRequest\x1a\x1e.inference.ServerRead'
    b'yResponse\x12I\n\nModelReady\x12\x1c.inference.ModelReadyRequest\x1a\x1d.inference.ModelReadyResponse\x12U'
    b'\n\x0eServerMetadata\x12 .inference.ServerMetadataRequest\x1a!.inference.ServerMetadataResponse\x12R\n\rMod'
    b'elMetadata\x12\x1f.inference.ModelMetadataRequest\x1a .inference.ModelMetadataResponse\x12I\n\nModelInfer'
    b'\x12\x1c.inference.ModelInferRequest\x1a\x1d.inference.ModelInferResponseb\x06proto3',
    imports=[open_inference_pb2.DESCRIPTOR],
)
