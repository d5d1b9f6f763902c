"""The methods of TorchServe's InferenceAPIsService.

Their messages hold JSON, so large ones are read and written in slices, as over REST.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import TYPE_CHECKING

from runtime.frontends.content import Slices
from runtime.frontends.grpc import framing
from runtime.frontends.grpc.unary import Endpoint, Inferred, Unary, compress, deadline
from runtime.frontends.inference import Inference
from runtime.http.messages import Answer, Request
from runtime.predictor import ReadyModel
from runtime.protocols.torchserve import calls
from runtime.tensors import Call, Prediction, Query

if TYPE_CHECKING:
    from runtime.frontends.endpoints import Endpoints
    from runtime.frontends.inference import Edge
    from runtime.frontends.mounting import Context
    from runtime.service import Service


def handlers(context: "Context") -> dict[str, Endpoint | Inferred]:
    """The unary methods of the service."""
    service, edge = context.service, context.edge
    return {
        "Ping": Endpoint(_Ping(context.endpoints).answer, edge, service.settings.max_body_bytes),
        "Predictions": _Sliced(service, calls.Predictions(), edge),
    }


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
        return await compress(request, answer) if isinstance(answer.body, bytes) else answer


class _SlicedUnary(Unary):
    _method: calls.Predictions

    def decode_slices(self, request: Request) -> Slices[Call]:
        """Read any call. Raises `ScalezeroError`."""
        message = yield from framing.inflated_message(request, self._limit)
        call = yield from self._method.decode_slices(message)
        call.deadline = deadline(request)
        return call

    def encode(
        self, queries: Sequence[Query], predictions: Sequence[Prediction], model: ReadyModel, *, latency: float
    ) -> Answer:
        """The answer, written while it is sent where it is large."""
        content = self._method.pieces(queries, predictions, model, latency=latency)
        if isinstance(content, bytes):
            return framing.answer(calls.response([content]))
        answer = framing.answer(b"")
        answer.body = _framed(content)
        return answer


async def _framed(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """One message of these pieces, with its frame, which states the size: so all of them are written first."""
    written: list[bytes] = []
    for piece in pieces:
        written.append(piece)
        await asyncio.sleep(0)
    body = framing.answer(calls.response(written)).body
    assert isinstance(body, bytes)  # noqa: S101 - what `framing.answer` makes
    yield body
