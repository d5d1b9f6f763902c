"""Pure: for each protocol, a request body just below the size limit that is expensive to read."""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from scripts.benchmarks.attacks.bodies import filled

JSON: Final = "application/json"
GRPC: Final = "application/grpc"
_BOUNDARY: Final = b"bench"
_MODEL: Final = b"\x0a\x01m"  # field 1, the model's name; no model has it, but the server reads the message first
_FRAME: Final = 5  # bytes; the prefix of a gRPC message: a flag and the size


class HostileRequest(NamedTuple):
    """A hostile request. `make` gets the largest size in bytes. A gRPC request is one message, sent over HTTP/2."""

    path: str  # `{model}` is the placeholder of the served model's name
    content_type: str
    make: Callable[[int], bytes]

    def body(self, limit: int) -> bytes:
        """Return the body, of at most `limit` bytes."""
        if self.content_type != GRPC:
            return self.make(limit)
        message = self.make(limit - _FRAME)
        return b"\0" + len(message).to_bytes(4, "big") + message


def _plain(head: bytes, piece: bytes, tail: bytes = b"") -> Callable[[int], bytes]:
    return lambda size: filled(head, piece, tail, size)


def _grpc(method: str, head: bytes, piece: bytes) -> HostileRequest:
    return HostileRequest(f"/{method}", GRPC, _plain(head, piece))


HOSTILE_REQUESTS: Final[Mapping[str, HostileRequest]] = MappingProxyType(
    {
        "ml_v1_items": _grpc("ml.v1.InferenceService/BatchPredict", b"", b"\x0a\0"),
        "oip_lists": HostileRequest("/v2/models/{model}/infer", JSON, _plain(b'{"inputs":[[1]', b",[1]", b"]}")),
        "oip_fields": _grpc("inference.GRPCInferenceService/ModelInfer", _MODEL, b"\x78\x01"),
        "health_fields": _grpc("grpc.health.v1.Health/Check", b"", b"\x78\x01"),
        "tensorflow_tokens": HostileRequest(
            "/v1/models/{model}:predict", JSON, _plain(b'{"instances":[NaN', b",NaN", b"]}")
        ),
        "tensorflow_tasks": _grpc("tensorflow.serving.PredictionService/MultiInference", b"", b"\x0a\0"),
        "torchserve_parts": HostileRequest(
            "/predictions/{model}",
            f"multipart/form-data; boundary={_BOUNDARY.decode()}",
            _plain(b"", b"--bench\r\ncontent-disposition: form-data" + b";a=b" * 400 + b';name="x"\r\n\r\n\r\n'),
        ),
        "torchserve_entries": _grpc(
            "org.pytorch.serve.grpc.inference.InferenceAPIsService/Predictions", _MODEL, b"\x1a\0"
        ),
    }
)
