"""TorchServe's inference API over gRPC: org.pytorch.serve.grpc.inference.InferenceAPIsService.

A PredictionsRequest maps names to bytes. Each is a value as in a form: JSON, a NumPy array (npy) or bytes. The answer's
`prediction` is the JSON that REST answers with.
Source: TorchServe 0.12, inference.proto.
"""

from collections.abc import Generator, Iterator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from runtime.errors import InvalidInput, PayloadTooLarge
from runtime.predictor import ReadyModel
from runtime.protocols.torchserve import answers, binding, values
from runtime.protocols.torchserve.inference import NAME
from runtime.tensors import Call, Prediction, Query

if TYPE_CHECKING:
    from types import ModuleType

SERVICE: Final = "org.pytorch.serve.grpc.inference.InferenceAPIsService"
_MOST: Final = 256  # values of a request, as of a form
_TAG: Final = b"\x0a"  # field 1, length-delimited: `prediction`, and `health`
_MORE: Final = 0x80  # of a varint: another byte follows


class Predictions:
    """The messages of Predictions. A large one is read, and its answer written, in slices."""

    name = NAME

    def decode(self, message: bytes) -> Call:
        """Read a small PredictionsRequest. Raises `InvalidInput`, and `PayloadTooLarge` beyond 256 values."""
        steps = self.decode_slices(message)
        while True:
            try:
                next(steps)
            except StopIteration as end:
                call: Call = end.value
                return call

    def decode_slices(self, message: bytes) -> Generator[None, None, Call]:
        """Read a PredictionsRequest of any size. Raises as `decode` does."""
        request = _parsed(message)
        if not request.model_name:
            raise InvalidInput("model_name", got="nothing", expected="the name of a model")
        if not 0 < len(request.input) <= _MOST:
            raise _miscounted(len(request.input))
        read: list[tuple[str, values.Value]] = []
        for name in sorted(request.input):
            value = yield from values.read(values.Part(name, memoryview(request.input[name])))
            read.append((name, value))
        return Call(request.model_name, request.model_version or None, read)

    def bind(self, call: Call, model: ReadyModel) -> list[Query]:
        """One query. Raises `InvalidInput`."""
        return [binding.bind(call.parts, model.signature)]

    def encode(
        self, queries: Sequence[Query], predictions: Sequence[Prediction], model: ReadyModel, *, latency: float
    ) -> bytes:
        """A PredictionResponse; the protocol has no place for `latency`."""
        content = self.pieces(queries, predictions, model, latency=latency)
        return response([content] if isinstance(content, bytes) else [*content])

    def pieces(
        self, queries: Sequence[Query], predictions: Sequence[Prediction], model: ReadyModel, *, latency: float
    ) -> bytes | Iterator[bytes]:
        """The JSON of a PredictionResponse, in pieces where it is large."""
        del latency
        return answers.encode(queries[0], predictions[0], model.signature)


def response(pieces: Sequence[bytes]) -> bytes:
    """A PredictionResponse of these pieces of JSON."""
    return b"".join([_TAG, _varint(sum(map(len, pieces))), *pieces])


def health(*, healthy: bool) -> bytes:
    """A TorchServeHealthResponse, whose `health` is JSON."""
    return response([b'{"status":"Healthy"}' if healthy else b'{"status":"Unhealthy"}'])


def _miscounted(count: int) -> InvalidInput | PayloadTooLarge:
    if count:
        return PayloadTooLarge("input", limit=_MOST, unit="values", got=count)
    return InvalidInput("input", got="no value", expected="one called data, or one for each input")


@cache
def _messages() -> "ModuleType":
    """The generated module, imported by the first call."""
    from runtime.protocols.protos import torchserve_inference_pb2

    return torchserve_inference_pb2


def _parsed(message: bytes) -> Any:  # noqa: ANN401 - a class of the generated module
    from google.protobuf.message import DecodeError

    try:
        return _messages().PredictionsRequest.FromString(message)
    except DecodeError as error:
        raise InvalidInput("message", got=f"no protobuf ({error})", expected="a PredictionsRequest") from error


def _varint(value: int) -> bytes:
    groups = bytearray()
    while value >= _MORE:
        groups.append(value & (_MORE - 1) | _MORE)
        value >>= 7
    groups.append(value)
    return bytes(groups)
