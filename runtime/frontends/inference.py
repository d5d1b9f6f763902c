"""One inference of any protocol: decode, bind, submit, encode. Measured here, once for all protocols.

    direct     a whole, small request to a model that is loaded: plain calls, joined by the batcher's callback
    answer     everything else (a large body, a compressed one, a cold model, several queries): a coroutine

Both call the same translator. What would hold the event loop for more than about a millisecond (a large JSON body or
answer) is done in slices, with other requests' turns in between.
"""

import asyncio
import math
from collections.abc import Sequence
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from runtime.errors import DeadlineExceeded
from runtime.frontends import content, timing
from runtime.http.messages import Answer, Request
from runtime.predictor import ReadyModel, predict, submit
from runtime.sinks import Outcome
from runtime.status import CLIENT_LEFT, OK, code_of
from runtime.tensors import Call, Prediction, Query

if TYPE_CHECKING:
    from typing import Protocol

    from runtime.http.exchange import Exchange
    from runtime.served_model import ServedModel
    from runtime.service import Service

    class Translator(Protocol):
        """What a protocol is: it raises `ScalezeroError` for what it does not take, and knows no other protocol."""

        name: str

        def decode(self, request: Request) -> Call:
            """Read a request whose body is small."""

        def decode_slices(self, request: Request) -> "content.Slices[Call]":
            """Read a request of any size; each step takes some milliseconds at most."""

        def bind(self, call: Call, model: ReadyModel) -> list[Query]:
            """Hold the parts against the model's signature."""

        def encode(
            self, queries: Sequence[Query], predictions: Sequence[Prediction], model: ReadyModel, *, latency: float
        ) -> Answer:
            """Build the answer; a large one as pieces. `latency` in seconds."""

    class Edge(Protocol):
        """What a handler of the direct path sends its answers by."""

        def reply(self, exchange: "Exchange", answer: Answer) -> None:
            """Send an answer, with what every answer has."""

        def told(self, error: Exception, request: Request) -> Answer:
            """Log an error, and build the answer to it in the words of the protocol that owns the path."""

        def complete(self, request: Request, answer: Answer) -> None:
            """Add what every answer has, to one that its handler writes itself."""


SLICE: Final = 64 * 1024  # bytes of a body that may be decoded, or of an answer that may be encoded, at once


class Inference:
    """The handler of one translator's routes."""

    def __init__(self, service: "Service", translator: "Translator", edge: "Edge", *, at_once: int = SLICE) -> None:
        """`at_once` is the size of a body, in bytes, that the translator decodes and binds within some milliseconds."""
        self._service = service
        self._translator = translator
        self._edge = edge
        self._at_once = at_once

    def direct(self, exchange: "Exchange") -> bool:
        """Answer without a task, where that can be done; see the module."""
        request = exchange.request
        if len(request.body) > self._at_once or request.header(b"content-encoding"):
            return False
        served: ServedModel | None = None
        try:
            call = self._translator.decode(request)
            served = self._service.model(call.model, call.version)
            ready = served.ready
            if ready is None:
                return False
            queries = self._translator.bind(call, ready)
            if len(queries) != 1:
                return False
            pending = _Pending(self, exchange, served, ready, queries[0])
            exchange.on_gone = pending.leave
            pending.ticket = submit(ready, queries[0], pending.done)
        except Exception as error:  # noqa: BLE001 - a bug of ours is counted too
            self._tell(exchange, served, error)
        return True

    async def answer(self, request: Request) -> Answer:
        """Answer in a coroutine. Raises `ScalezeroError`; the caller has the protocol tell it."""
        translator = self._translator
        served: ServedModel | None = None
        try:
            call = await content.in_turns(translator.decode_slices(request))
            served = self._service.model(call.model, call.version)
            ready = await load(served, deadline=call.deadline)
            if call.version is not None or call.model != served.name:
                self._service.model(call.model, call.version)  # now that the version and the name are known
            if (
                max(len(request.body), call.size) > self._at_once
            ):  # millions of numbers are looked at by NumPy, which releases the GIL
                queries = await asyncio.to_thread(translator.bind, call, ready)
            else:
                queries = translator.bind(call, ready)
            predictions = await predict_all(ready, queries)
            encode = partial(self._encode, request, ready, queries, predictions)
            answer = await asyncio.to_thread(encode) if _are_large(predictions) else encode()
            return self._finished(answer, request, served, queries, predictions)
        except (Exception, asyncio.CancelledError) as error:
            count(self._service, served, self._translator.name, code_of(error), request)
            raise

    def _encode(
        self, request: Request, ready: ReadyModel, queries: Sequence[Query], predictions: Sequence[Prediction]
    ) -> Answer:
        return self._translator.encode(queries, predictions, ready, latency=perf_counter() - request.started)

    def _finished(
        self,
        answer: Answer,
        request: Request,
        served: "ServedModel",
        queries: Sequence[Query],
        predictions: Sequence[Prediction],
    ) -> Answer:
        answer.headers.append((b"server-timing", timing.header(predictions, served, request.started)))
        count(self._service, served, self._translator.name, OK, request, queries, predictions)
        return answer

    def _tell(self, exchange: "Exchange", served: "ServedModel | None", error: Exception) -> None:
        count(self._service, served, self._translator.name, code_of(error), exchange.request)
        self._edge.reply(exchange, self._edge.told(error, exchange.request))

    def finish(self, pending: "_Pending", outcome: Prediction | BaseException) -> None:
        """Answer a request whose run has ended, whatever its outcome."""
        exchange, served = pending.exchange, pending.served
        try:
            if isinstance(outcome, BaseException):
                raise outcome  # noqa: TRY301 - one place tells what a request may end with
            if _are_large([outcome]):
                exchange.work(partial(self._finish_large, pending, outcome))
                return
            request, queries = exchange.request, [pending.query]
            answer = self._encode(request, pending.ready, queries, [outcome])
            self._finished(answer, request, served, queries, [outcome])
        except Exception as error:  # noqa: BLE001 - as above
            self._tell(exchange, served, error)
        else:
            self._edge.reply(exchange, answer)

    async def _finish_large(self, pending: "_Pending", prediction: Prediction) -> None:
        """Answer with a large prediction, which is encoded on a thread."""
        exchange, served = pending.exchange, pending.served
        request, queries = exchange.request, [pending.query]
        try:
            answer = await asyncio.to_thread(self._encode, request, pending.ready, queries, [prediction])
            self._finished(answer, request, served, queries, [prediction])
        except asyncio.CancelledError:
            self.left(pending)
            raise
        except Exception as error:  # noqa: BLE001 - as above
            self._tell(exchange, served, error)
        else:
            self._edge.reply(exchange, answer)

    def left(self, pending: "_Pending") -> None:
        """Give up a request that nobody waits for any more: what is still queued never runs."""
        pending.ticket.cancel()
        if not pending.exchange.answered:  # else the transport has refused it, and counted that
            count(self._service, pending.served, self._translator.name, CLIENT_LEFT, pending.exchange.request)


class _Pending:
    """One direct request between its submission and its answer."""

    __slots__ = ("exchange", "inference", "query", "ready", "served", "ticket")

    ticket: Any  # what `submit` gave

    def __init__(
        self, inference: Inference, exchange: "Exchange", served: "ServedModel", ready: ReadyModel, query: Query
    ) -> None:
        self.inference = inference
        self.exchange = exchange
        self.served = served
        self.ready = ready
        self.query = query

    def done(self, outcome: Prediction | BaseException) -> None:
        """Take the outcome of the run."""
        self.inference.finish(self, outcome)

    def leave(self) -> None:
        """Note that the client has left."""
        self.inference.left(self)


def count(
    service: "Service",
    served: "ServedModel | None",
    protocol: str,
    code: str,
    request: Request,
    queries: Sequence[Query] = (),
    predictions: Sequence[Prediction] = (),
) -> None:
    """Count an inference that has its answer, and offer it to the sinks.

    `served` is None where the request failed before its model was known; `code` is `OK` or an error's code.
    """
    seconds = perf_counter() - request.started
    if served is None:
        service.answered(protocol, code, seconds)
        return
    served.measurements.answered(protocol, code, seconds)
    if service.sinks.any:
        started, version = request.started, served.version
        service.sinks.offer(Outcome(protocol, served.name, version, code, started, seconds, queries, predictions))


def _are_large(predictions: Sequence[Prediction]) -> bool:
    """Whether to encode on a thread, so that strings or a copy of many bytes do not hold the event loop."""
    return any(output.nbytes > SLICE for each in predictions for output in each.outputs)


async def load(served: "ServedModel", *, deadline: float) -> ReadyModel:
    """The ready model, loaded if need be. Raises `DeadlineExceeded` where that takes longer than the caller waits.

    `deadline` is on `perf_counter`'s clock; the load goes on for whoever comes next.
    """
    if served.ready is not None:
        return served.ready
    began = perf_counter()
    if deadline == math.inf:
        return await served.load()
    try:
        async with asyncio.timeout(deadline - began):
            return await served.load()
    except TimeoutError:
        timeout, waited = round(max(0.0, deadline - began), 3), perf_counter() - began
        raise DeadlineExceeded(waited=waited, timeout=timeout, where="for the model to load") from None


async def predict_all(ready: ReadyModel, queries: Sequence[Query]) -> list[Prediction]:
    """Predict all queries, batched with everybody else's."""
    if len(queries) == 1:
        return [await predict(ready, queries[0])]
    return await asyncio.gather(*(predict(ready, query) for query in queries))
