"""The methods of TorchServe's InferenceAPIsService.

Their messages contain JSON, so large ones are decoded and encoded in slices, as over REST.
"""

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Final, NoReturn

from runtime.errors import ScalezeroError
from runtime.frontends.content import Slices, run_slices
from runtime.frontends.grpc import framing
from runtime.frontends.grpc.pipeline import PerMessage
from runtime.frontends.grpc.streams import Streaming
from runtime.frontends.grpc.unary import Endpoint, InferenceMethod, Unary, compress, deadline
from runtime.frontends.inference import Inference
from runtime.http.messages import Answer, Buffer, Request
from runtime.predictor import ReadyModel
from runtime.protocols.json import writer
from runtime.protocols.torchserve import calls
from runtime.tensors import Call, Prediction, Query

if TYPE_CHECKING:
    from runtime.frontends.endpoints import Endpoints
    from runtime.frontends.inference import Edge
    from runtime.frontends.mounting import Context
    from runtime.service import Service


_PIECE: Final = 256 * 1024  # bytes of a response that are written at once


def handlers(context: "Context") -> dict[str, Endpoint | InferenceMethod | Streaming]:
    """Return the handlers of the service's methods."""
    service, edge = context.service, context.edge
    limit = service.settings.max_body_bytes
    predictions = _Sliced(service, calls.Predictions(), edge)
    failing = PerMessage(predictions, edge, limit, wrap=bytes, fail=_raise)
    continuing = PerMessage(predictions, edge, limit, wrap=bytes, fail=calls.failed)
    return {
        "Ping": Endpoint(_Ping(context.endpoints).answer, edge),
        "Predictions": predictions,
        "StreamPredictions": Streaming(failing, edge, limit),
        "StreamPredictions2": Streaming(continuing, edge, limit),
    }


def _raise(fault: ScalezeroError, _: Buffer) -> NoReturn:
    raise fault


class _Ping:
    def __init__(self, endpoints: "Endpoints") -> None:
        self._endpoints = endpoints

    def answer(self, _: bytes) -> bytes:
        """Answer whether the process is ready, by the same rule as /healthz/ready."""
        return calls.health(healthy=self._endpoints.is_ready())


class _Sliced(InferenceMethod):
    """The handler of a method whose messages may take long to decode and to encode."""

    def __init__(self, service: "Service", method: calls.Predictions, edge: "Edge") -> None:
        self._inference = Inference(service, _SlicedUnary(method, service.settings.max_body_bytes), edge)

    async def answer(self, request: Request) -> Answer:
        """Answer in a coroutine. Raises `ScalezeroError`."""
        answer = await self._inference.answer(request)
        if isinstance(answer.body, AsyncIterator):
            answer.body = b"".join([piece async for piece in answer.body])
        return await compress(request, answer)


class _SlicedUnary(Unary):
    _method: calls.Predictions

    def decode_slices(self, request: Request) -> Slices[Call]:
        """Decode any call. Raises `ScalezeroError`."""
        message = yield from framing.inflated_view(request, self._limit)
        call = yield from self._method.decode_slices(message)
        call.size = len(message)
        call.deadline = deadline(request)
        return call

    def encode(
        self, queries: Sequence[Query], predictions: Sequence[Prediction], model: ReadyModel, *, latency: float
    ) -> Answer:
        """Build the response; a large one is encoded in slices."""
        if not writer.is_large(predictions[0].outputs):
            return super().encode(queries, predictions, model, latency=latency)
        answer = framing.answer(b"")
        answer.body = _framed(self._method.encode_slices(queries, predictions, model, latency=latency))
        return answer


async def _framed(steps: Slices[bytes]) -> AsyncIterator[bytes]:
    """Yield the frame's prefix and the message. The prefix has the size, so the whole message is encoded first."""
    message = await run_slices(steps)
    yield b"\0" + len(message).to_bytes(4, "big")
    for start in range(0, len(message), _PIECE):
        yield message[start : start + _PIECE]
