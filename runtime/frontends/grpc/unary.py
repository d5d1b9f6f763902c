"""Unary calls: one message in, one message out.

    InferenceMethod   a method that is an inference; `Unary` adapts it to a translator of `frontends.inference`
    Endpoint          a method that answers immediately, such as a health check
    AsyncEndpoint     a method that may have to wait, such as one that describes a model

A call with a compressed message is answered in a coroutine. Other calls use the direct path if `Inference` can.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from runtime.frontends import content
from runtime.frontends.content import Slices
from runtime.frontends.grpc import framing
from runtime.frontends.inference import Inference
from runtime.http.messages import Answer, Buffer, Request
from runtime.predictor import ReadyModel
from runtime.protocols.grpc_errors import grpc_error_answer
from runtime.tensors import Call, Prediction, Query

if TYPE_CHECKING:
    from runtime.frontends.inference import Edge
    from runtime.http.exchange import Exchange
    from runtime.service import Service

_AT_ONCE: Final = 64 * 1024  # bytes of a response that are compressed on the event loop: about a millisecond


class Method(Protocol):
    """The translator of a method that is an inference: messages in and out, without framing."""

    name: str

    def decode(self, message: bytes) -> Call:
        """Decode a message. Raises `ScalezeroError`."""

    def bind(self, call: Call, model: ReadyModel) -> list[Query]:
        """Check the inputs against the model's signature. Raises `ScalezeroError`."""

    def encode(
        self, queries: Sequence[Query], predictions: Sequence[Prediction], model: ReadyModel, *, latency: float
    ) -> bytes | Sequence[Buffer]:
        """Build the message of the response, in one or several pieces; `latency` is in seconds."""


class Unary:
    """Adapts a `Method` to a translator of `frontends.inference`: adds the framing and the deadline."""

    refuse = staticmethod(grpc_error_answer)

    def __init__(self, method: Method, limit: int, *, views: bool = False) -> None:
        """`limit` is the largest size of a decompressed message, in bytes; `views`: the method accepts memoryviews."""
        self._method = method
        self._limit = limit
        self._message: Callable[[Request], Any] = framing.view if views else framing.message
        self.name = method.name

    def decode(self, request: Request) -> Call:
        """Decode a call whose message is not compressed. Raises `ScalezeroError`."""
        call = self._method.decode(self._message(request))
        call.deadline = deadline(request)
        return call

    def decode_slices(self, request: Request) -> Slices[Call]:
        """Decode any call. Raises `ScalezeroError`."""
        if framing.compressed(request):
            message = yield from framing.inflated_message(request, self._limit)
        else:
            message = self._message(request)
        call = self._method.decode(message)
        call.size = len(message)
        call.deadline = deadline(request)
        return call

    def bind(self, call: Call, model: ReadyModel) -> list[Query]:
        """Return the queries, with the deadline of the call. Raises `ScalezeroError`."""
        queries = self._method.bind(call, model)
        if call.deadline != math.inf:
            for query in queries:
                query.deadline = call.deadline
        return queries

    def encode(
        self, queries: Sequence[Query], predictions: Sequence[Prediction], model: ReadyModel, *, latency: float
    ) -> Answer:
        """Build the response; `latency` is in seconds."""
        return framing.answer(self._method.encode(queries, predictions, model, latency=latency))


def deadline(request: Request) -> float:
    """Return the client's deadline on `perf_counter`'s clock; inf: no deadline. Raises `InvalidInput`."""
    value = request.header(b"grpc-timeout")
    return math.inf if value is None else request.started + framing.timeout(value)


async def compress(request: Request, answer: Answer) -> Answer:
    """Compress the response as `framing.compress` does, a large one on a thread."""
    if not isinstance(answer.body, bytes) or len(answer.body) > _AT_ONCE:
        await asyncio.to_thread(framing.compress, request, answer)
    else:
        framing.compress(request, answer)
    return answer


class InferenceMethod:
    """The handler of a method that is an inference."""

    def __init__(self, service: "Service", method: Method, edge: "Edge", *, views: bool = False) -> None:
        """`views`: the method accepts memoryviews, so that a large message is not copied."""
        self._inference = Inference(service, Unary(method, service.settings.max_body_bytes, views=views), edge)

    def direct(self, exchange: "Exchange") -> bool:
        """Answer without a task, and return whether that is possible."""
        return not framing.compressed(exchange.request) and self._inference.direct(exchange)

    async def answer(self, request: Request) -> Answer:
        """Answer in a coroutine. Raises `ScalezeroError`."""
        return await compress(request, await self._inference.answer(request))


class Endpoint:
    """The handler of a method with a small message that answers immediately."""

    def __init__(self, endpoint: Callable[[bytes], bytes], edge: "Edge") -> None:
        """`endpoint` may raise `ScalezeroError`."""
        self._endpoint = endpoint
        self._edge = edge

    def direct(self, exchange: "Exchange") -> bool:
        """Answer immediately if the message is not compressed. Raises `ScalezeroError`."""
        if framing.compressed(exchange.request):
            return False
        message = framing.small_message(exchange.request)
        self._edge.reply(exchange, framing.answer(self._endpoint(message)))
        return True

    async def answer(self, request: Request) -> Answer:
        """Answer a compressed message. Raises `ScalezeroError`."""
        message = await content.run_slices(framing.inflated_message(request, framing.SMALL))
        return await compress(request, framing.answer(self._endpoint(message)))


class AsyncEndpoint:
    """The handler of a method that may have to wait, for example for a model to load."""

    def __init__(self, endpoint: Callable[[bytes, float], Awaitable[bytes]]) -> None:
        """`endpoint` gets the small message and the client's deadline."""
        self._endpoint = endpoint

    def direct(self, _: "Exchange") -> bool:
        """Return False: only `answer` can wait."""
        return False

    async def answer(self, request: Request) -> Answer:
        """Await the endpoint. Raises `ScalezeroError`."""
        message = await content.run_slices(framing.inflated_message(request, framing.SMALL))
        return await compress(request, framing.answer(await self._endpoint(message, deadline(request))))
