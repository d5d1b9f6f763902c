"""TorchServe's inference API over gRPC: org.pytorch.serve.grpc.inference.InferenceAPIsService.

A PredictionsRequest maps names to bytes. Each is a value as in a form: JSON, a NumPy array (npy) or bytes. The
`prediction` of the answer is the same JSON as over REST. The answer has the `sequence_id` of the request, if any.
Source: TorchServe 0.12, inference.proto.
"""

from collections.abc import Generator, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from runtime.errors import InvalidInput, PayloadTooLarge, ScalezeroError
from runtime.http.messages import Buffer
from runtime.predictor import ReadyModel
from runtime.protobuf import delimited, head
from runtime.protocols import outline
from runtime.protocols.torchserve import answers, binding, values
from runtime.protocols.torchserve.faults import error_fields
from runtime.protocols.torchserve.inference import NAME
from runtime.protocols.torchserve.steps import at_once
from runtime.status import TABLE, code_of
from runtime.tensors import Call, Prediction, Query

if TYPE_CHECKING:
    from types import ModuleType

SERVICE: Final = "org.pytorch.serve.grpc.inference.InferenceAPIsService"
_INPUT: Final = 3  # of PredictionsRequest
_MAX_VALUES: Final = 256  # of a request, as of a form
_PREDICTION, _SEQUENCE_ID = 1, 2  # of PredictionResponse
_HEALTH: Final = 1  # of TorchServeHealthResponse


class Inputs(NamedTuple):
    """The content of a request besides its model."""

    values: list[tuple[str, values.Value]]
    sequence: str


class Predictions:
    """The messages of Predictions. Large requests are parsed, and large answers are written, in steps."""

    name = NAME

    def decode(self, message: bytes) -> Call:
        """Parse a small PredictionsRequest at once. Raises `InvalidInput`, and `PayloadTooLarge` beyond 256 values."""
        return at_once(self.decode_slices(message))

    def decode_slices(self, message: Buffer) -> Generator[None, None, Call]:
        """Parse a PredictionsRequest of any size in steps. Raises as `decode` does."""
        rest, spans = outline.outline(memoryview(message), {_INPUT})
        request = _parsed(rest)
        if not request.model_name:
            raise InvalidInput("model_name", got="nothing", expected="the name of a model")
        entries = outline.entries("input", spans.get(_INPUT, []))
        if not 0 < len(entries) <= _MAX_VALUES:
            raise _wrong_count(len(entries))
        read: list[tuple[str, values.Value]] = []
        for name in sorted(entries):
            value = yield from values.read(values.Part(name, entries[name]))
            read.append((name, value))
        return Call(request.model_name, request.model_version or None, Inputs(read, request.sequence_id))

    def bind(self, call: Call, model: ReadyModel) -> list[Query]:
        """Return one query; its id is the `sequence_id`. Raises `InvalidInput`."""
        inputs: Inputs = call.parts
        query = binding.bind(inputs.values, model.signature)
        query.id = inputs.sequence
        return [query]

    def encode(
        self, queries: Sequence[Query], predictions: Sequence[Prediction], model: ReadyModel, *, latency: float
    ) -> bytes:
        """Return a PredictionResponse; the protocol has no field for `latency`."""
        return at_once(self.encode_slices(queries, predictions, model, latency=latency))

    def encode_slices(
        self, queries: Sequence[Query], predictions: Sequence[Prediction], model: ReadyModel, *, latency: float
    ) -> Generator[None, None, bytes]:
        """Return the same as `encode`, in steps of a millisecond."""
        del latency
        content = answers.encode(queries[0], predictions[0], model.signature)
        pieces: list[bytes] = []
        for piece in (content,) if isinstance(content, bytes) else content:
            pieces.append(piece)
            yield
        sequence = queries[0].id.encode()
        end = delimited(_SEQUENCE_ID, sequence) if sequence else b""
        return b"".join((head(_PREDICTION, sum(map(len, pieces))), *pieces, end))


def health(*, healthy: bool) -> bytes:
    """Return a TorchServeHealthResponse; its field `health` is JSON."""
    return delimited(_HEALTH, b'{"status":"Healthy"}' if healthy else b'{"status":"Unhealthy"}')


def failed(fault: ScalezeroError, message: Buffer) -> bytes:
    """Return the response of a stream to a request that failed; `message` is its PredictionsRequest, or empty."""
    messages = _messages()
    try:
        sequence = messages.PredictionsRequest.FromString(bytes(message)).sequence_id
    except _decode_error():
        sequence = ""
    answer = messages.PredictionResponse(sequence_id=sequence or None)
    answer.status.code = TABLE[code_of(fault)].grpc.value
    answer.status.message = error_fields(fault)[2]
    content: bytes = answer.SerializeToString()
    return content


def _wrong_count(count: int) -> InvalidInput | PayloadTooLarge:
    if count:
        return PayloadTooLarge("input", limit=_MAX_VALUES, unit="values", got=count)
    return InvalidInput("input", got="no value", expected="one value named data, or one for each input")


@cache
def _messages() -> "ModuleType":
    """Return the generated module; the first call imports it."""
    from runtime.protocols.protos import torchserve_inference_pb2

    return torchserve_inference_pb2


@cache
def _decode_error() -> type[Exception]:
    from google.protobuf.message import DecodeError

    return DecodeError


def _parsed(message: bytes) -> Any:  # noqa: ANN401 - a class of the generated module
    try:
        return _messages().PredictionsRequest.FromString(message)
    except _decode_error() as error:
        raise InvalidInput("message", got=f"invalid protobuf ({error})", expected="a PredictionsRequest") from error
