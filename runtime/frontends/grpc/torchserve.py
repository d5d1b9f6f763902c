"""The methods of TorchServe's InferenceAPIsService.

Their messages hold JSON, so large ones are read and written in slices, as over REST.
"""

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Final, NoReturn

from runtime.errors import ScalezeroError
from runtime.frontends.content import Slices, in_turns
from runtime.frontends.grpc import framing
from runtime.frontends.grpc.pipeline import Each
from runtime.frontends.grpc.streams import Streaming
from runtime.frontends.grpc.unary import Endpoint, Inferred, Unary, compress, deadline
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


_PIECE: Final = 256 * 1024  # bytes of an answer that are written at once


def handlers(context: "Context") -> dict[str, Endpoint | Inferred | Streaming]:
    """The methods of the service."""
    service, edge = context.service, context.edge
    limit = service.settings.max_body_bytes
    predictions = _Sliced(service, calls.Predictions(), edge)
    one = Each(predictions, edge, limit, wrap=bytes, fail=_raised)
    several = Each(predictions, edge, limit, wrap=bytes, fail=calls.failed)
    return {
        "Ping": Endpoint(_Ping(context.endpoints).answer, edge),
        "Predictions": predictions,
        "StreamPredictions": Streaming(one, edge, limit),
        "StreamPredictions2": Streaming(several, edge, limit),
    }


def _raised(fault: ScalezeroError, _: Buffer) -> NoReturn:
    raise fault


class _Ping:
    def __init__(self, endpoints: "Endpoints") -> None:
        self._endpoints = endpoints

    def answer(self, _: bytes) -> bytes:
        """Whether traffic may come, by the same rule as /healthz/ready."""
        return calls.health(healthy=self._endpoints.takes_traffic())


class _Sliced(Inferred):
    """The handler of a method whose messages may take long to read and to write."""

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
        """Read any call. Raises `ScalezeroError`."""
        message = yield from framing.inflated_view(request, self._limit)
        call = yield from self._method.decode_slices(message)
        call.size = len(message)
        call.deadline = deadline(request)
        return call

    def encode(
        self, queries: Sequence[Query], predictions: Sequence[Prediction], model: ReadyModel, *, latency: float
    ) -> Answer:
        """The answer, which is written in slices where it is large."""
        if not writer.is_large(predictions[0].outputs):
            return super().encode(queries, predictions, model, latency=latency)
        answer = framing.answer(b"")
        answer.body = _framed(self._method.encode_slices(queries, predictions, model, latency=latency))
        return answer


async def _framed(steps: Slices[bytes]) -> AsyncIterator[bytes]:
    """The message and its frame, which states the size: so all of it is written first."""
    message = await in_turns(steps)
    yield b"\0" + len(message).to_bytes(4, "big")
    for start in range(0, len(message), _PIECE):
        yield message[start : start + _PIECE]
