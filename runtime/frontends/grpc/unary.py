"""Unary calls: one message in, one message out.

    Inferred    a method that is an inference: `Unary` lets its messages pass for a translator of `frontends.inference`
    Endpoint    a method that answers from its message alone, such as a health check
    Awaited     a method that may have to wait, such as one that describes a model

A call whose message is compressed takes the coroutine, every other one the direct path where `Inference` can.
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

_AT_ONCE: Final = 64 * 1024  # bytes of an answer that are compressed on the event loop: a millisecond


class Method(Protocol):
    """What a protocol gives for a method that is an inference: messages in and out, no framing."""

    name: str

    def decode(self, message: bytes) -> Call:
        """Read a message. Raises `ScalezeroError`."""

    def bind(self, call: Call, model: ReadyModel) -> list[Query]:
        """Hold the message against the model's signature. Raises `ScalezeroError`."""

    def encode(
        self, queries: Sequence[Query], predictions: Sequence[Prediction], model: ReadyModel, *, latency: float
    ) -> bytes | Sequence[Buffer]:
        """The message of the answer, in one piece or in several; `latency` in seconds."""


class Unary:
    """A translator (see `frontends.inference`) for the messages of one method."""

    refuse = staticmethod(grpc_error_answer)

    def __init__(self, method: Method, limit: int, *, views: bool = False) -> None:
        """`limit` is the size of an uncompressed message, in bytes; `views` says that the method reads memoryviews."""
        self._method = method
        self._limit = limit
        self._message: Callable[[Request], Any] = framing.view if views else framing.message
        self.name = method.name

    def decode(self, request: Request) -> Call:
        """Read a call whose message is not compressed. Raises `ScalezeroError`."""
        call = self._method.decode(self._message(request))
        call.deadline = deadline(request)
        return call

    def decode_slices(self, request: Request) -> Slices[Call]:
        """Read any call. Raises `ScalezeroError`."""
        if framing.compressed(request):
            message = yield from framing.inflated_message(request, self._limit)
        else:
            message = self._message(request)
        call = self._method.decode(message)
        call.size = len(message)
        call.deadline = deadline(request)
        return call

    def bind(self, call: Call, model: ReadyModel) -> list[Query]:
        """The queries, under the deadline of the call. Raises `ScalezeroError`."""
        queries = self._method.bind(call, model)
        if call.deadline != math.inf:
            for query in queries:
                query.deadline = call.deadline
        return queries

    def encode(
        self, queries: Sequence[Query], predictions: Sequence[Prediction], model: ReadyModel, *, latency: float
    ) -> Answer:
        """The answer; `latency` in seconds."""
        return framing.answer(self._method.encode(queries, predictions, model, latency=latency))


def deadline(request: Request) -> float:
    """When the caller gives up, on `perf_counter`'s clock; inf: never. Raises `InvalidInput`."""
    value = request.header(b"grpc-timeout")
    return math.inf if value is None else request.started + framing.timeout(value)


async def compress(request: Request, answer: Answer) -> Answer:
    """Compress the answer where that is worth it, a large one on a thread."""
    if not isinstance(answer.body, bytes) or len(answer.body) > _AT_ONCE:
        await asyncio.to_thread(framing.compress, request, answer)
    else:
        framing.compress(request, answer)
    return answer


class Inferred:
    """The handler of a method that is an inference."""

    def __init__(self, service: "Service", method: Method, edge: "Edge", *, views: bool = False) -> None:
        """`views` says that the method reads memoryviews: a large message is then not copied."""
        self._inference = Inference(service, Unary(method, service.settings.max_body_bytes, views=views), edge)

    def direct(self, exchange: "Exchange") -> bool:
        """Answer without a task where that can be done."""
        return not framing.compressed(exchange.request) and self._inference.direct(exchange)

    async def answer(self, request: Request) -> Answer:
        """Answer in a coroutine. Raises `ScalezeroError`."""
        return await compress(request, await self._inference.answer(request))


class Endpoint:
    """The handler of a method that answers at once, from its small message alone."""

    def __init__(self, endpoint: Callable[[bytes], bytes], edge: "Edge") -> None:
        """`endpoint` may raise `ScalezeroError`."""
        self._endpoint = endpoint
        self._edge = edge

    def direct(self, exchange: "Exchange") -> bool:
        """Answer now, where the message is not compressed. Raises `ScalezeroError`."""
        if framing.compressed(exchange.request):
            return False
        message = framing.small_message(exchange.request)
        self._edge.reply(exchange, framing.answer(self._endpoint(message)))
        return True

    async def answer(self, request: Request) -> Answer:
        """Answer a compressed message. Raises `ScalezeroError`."""
        message = await content.in_turns(framing.inflated_message(request, framing.SMALL))
        return await compress(request, framing.answer(self._endpoint(message)))


class Awaited:
    """The handler of a method that may have to wait for something, such as a model that is being loaded."""

    def __init__(self, endpoint: Callable[[bytes, float], Awaitable[bytes]]) -> None:
        """`endpoint` takes the small message and when the caller gives up."""
        self._endpoint = endpoint

    def direct(self, _: "Exchange") -> bool:
        """Leave it to `answer`."""
        return False

    async def answer(self, request: Request) -> Answer:
        """Answer. Raises `ScalezeroError`."""
        message = await content.in_turns(framing.inflated_message(request, framing.SMALL))
        return await compress(request, framing.answer(await self._endpoint(message, deadline(request))))
