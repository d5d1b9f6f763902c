"""One inference of any protocol: decode, bind, submit, encode, and measure.

    direct     for a complete, small request to a loaded model: plain calls, and a callback of the batcher
    answer     for every other request (large body, compressed body, model not loaded, several queries): a coroutine

Both call the same translator. Work that would block the event loop for more than about a millisecond (a large JSON body
or response) is done in slices, and the event loop handles other requests between them.
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
        """The translator of a protocol. It raises `ScalezeroError` for an invalid request."""

        name: str

        def decode(self, request: Request) -> Call:
            """Decode a request with a small body."""

        def decode_slices(self, request: Request) -> "content.Slices[Call]":
            """Decode a request of any size; each step takes at most a few milliseconds."""

        def bind(self, call: Call, model: ReadyModel) -> list[Query]:
            """Check the inputs against the model's signature, and return a query for each inference."""

        def encode(
            self, queries: Sequence[Query], predictions: Sequence[Prediction], model: ReadyModel, *, latency: float
        ) -> Answer:
            """Build the response, in pieces if it is large. `latency` is in seconds."""

    class Edge(Protocol):
        """The application, as its handlers use it to send responses."""

        def reply(self, exchange: "Exchange", answer: Answer) -> None:
            """Send a response, with the common headers."""

        def answer_error(self, error: Exception, request: Request) -> Answer:
            """Log an error, and build the response in the form of the protocol that owns the path."""

        def complete(self, request: Request, answer: Answer) -> None:
            """Add the common headers to a response that its handler sends itself."""


SLICE: Final = 64 * 1024  # bytes of a body that are decoded, or of a response that are encoded, without a pause


class Inference:
    """The handler of one translator's routes."""

    is_timed = True  # whether successful responses have the header Server-Timing

    def __init__(
        self, service: "Service", translator: "Translator", edge: "Edge", *, inline_limit: int = SLICE
    ) -> None:
        """`inline_limit` is the largest body, in bytes, that the translator decodes and binds in a few milliseconds."""
        self._service = service
        self._translator = translator
        self._edge = edge
        self._inline_limit = inline_limit

    def direct(self, exchange: "Exchange") -> bool:
        """Answer without a task, and return whether that is possible; see the module's docstring."""
        request = exchange.request
        if len(request.body) > self._inline_limit or request.header(b"content-encoding"):
            return False
        return self.begin(exchange)

    def begin(self, exchange: "Exchange") -> bool:
        """Do what `direct` does, for a small body that is not compressed."""
        request = exchange.request
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
            exchange.on_cancel = pending.cancel
            pending.ticket = submit(ready, queries[0], pending.done)
        except Exception as error:  # noqa: BLE001 - internal errors are counted too
            self._reply_error(exchange, served, error)
        return True

    async def answer(self, request: Request) -> Answer:
        """Answer in a coroutine. Raises `ScalezeroError`, which the caller converts to a response."""
        translator = self._translator
        served: ServedModel | None = None
        try:
            call = await content.run_slices(translator.decode_slices(request))
            served = self._service.model(call.model, call.version)
            ready = await load(served, deadline=call.deadline)
            if call.version is not None or call.model != served.name:
                self._service.model(call.model, call.version)  # raises if the name or version, now known, is another
            if max(len(request.body), call.size) > self._inline_limit:
                # On a thread: NumPy, which checks millions of numbers, releases the GIL.
                queries = await asyncio.to_thread(translator.bind, call, ready)
            else:
                queries = translator.bind(call, ready)
            predictions = await predict_all(ready, queries)
            encode = partial(self._encode, request, ready, queries, predictions)
            answer = await asyncio.to_thread(encode) if _are_large(predictions) else encode()
            self._record(answer, request, served, ready, queries, predictions)
        except (Exception, asyncio.CancelledError) as error:
            count(self._service, served, self._translator.name, code_of(error), request)
            raise
        return answer

    def _encode(
        self, request: Request, ready: ReadyModel, queries: Sequence[Query], predictions: Sequence[Prediction]
    ) -> Answer:
        return self._translator.encode(queries, predictions, ready, latency=perf_counter() - request.started)

    def _record(
        self,
        answer: Answer,
        request: Request,
        served: "ServedModel",
        ready: ReadyModel,
        queries: Sequence[Query],
        predictions: Sequence[Prediction],
    ) -> None:
        """Add Server-Timing to a successful response, and count it."""
        if self.is_timed:
            answer.headers.append((b"server-timing", timing.header(predictions, served, request.started)))
        count(self._service, served, self._translator.name, OK, request, queries, predictions, ready)

    def _reply_error(self, exchange: "Exchange", served: "ServedModel | None", error: Exception) -> None:
        count(self._service, served, self._translator.name, code_of(error), exchange.request)
        self._edge.reply(exchange, self._edge.answer_error(error, exchange.request))

    def finish(self, pending: "_Pending", outcome: Prediction | BaseException) -> None:
        """Answer a request whose run has ended, with its prediction or its error."""
        exchange, served = pending.exchange, pending.served
        try:
            if isinstance(outcome, BaseException):
                raise outcome  # noqa: TRY301 - so that one handler covers the errors of the run and of the encoding
            if _are_large([outcome]):
                self.start_large(pending, outcome)
                return
            request, queries = exchange.request, [pending.query]
            answer = self._encode(request, pending.ready, queries, [outcome])
            self._record(answer, request, served, pending.ready, queries, [outcome])
        except Exception as error:  # noqa: BLE001 - as in `direct`
            self._reply_error(exchange, served, error)
        else:
            self._edge.reply(exchange, answer)

    def start_large(self, pending: "_Pending", prediction: Prediction) -> None:
        """Encode a large prediction and answer with it, in a task that is cancelled with the exchange."""
        pending.exchange.run_handler(partial(self._finish_large, pending, prediction))

    async def _finish_large(self, pending: "_Pending", prediction: Prediction) -> None:
        """Encode a large prediction on a thread, and answer with it."""
        exchange, served = pending.exchange, pending.served
        request, queries = exchange.request, [pending.query]
        try:
            answer = await asyncio.to_thread(self._encode, request, pending.ready, queries, [prediction])
            self._record(answer, request, served, pending.ready, queries, [prediction])
        except asyncio.CancelledError:
            self.cancel(pending)
            raise
        except Exception as error:  # noqa: BLE001 - as in `direct`
            self._reply_error(exchange, served, error)
        else:
            self._edge.reply(exchange, answer)

    def cancel(self, pending: "_Pending") -> None:
        """Cancel a request whose client has disconnected. If it is still queued, it never runs."""
        pending.ticket.cancel()
        if not pending.exchange.answered:  # otherwise the transport has refused and counted it
            count(self._service, pending.served, self._translator.name, CLIENT_LEFT, pending.exchange.request)


class _Pending:
    """One request of the direct path between its submission and its response."""

    __slots__ = ("exchange", "inference", "query", "ready", "served", "ticket")

    ticket: Any  # the return value of `submit`

    def __init__(
        self, inference: Inference, exchange: "Exchange", served: "ServedModel", ready: ReadyModel, query: Query
    ) -> None:
        self.inference = inference
        self.exchange = exchange
        self.served = served
        self.ready = ready
        self.query = query

    def done(self, outcome: Prediction | BaseException) -> None:
        """Answer with the outcome of the run."""
        self.inference.finish(self, outcome)

    def cancel(self) -> None:
        """Cancel the request: its client has disconnected."""
        self.inference.cancel(self)


def count(
    service: "Service",
    served: "ServedModel | None",
    protocol: str,
    code: str,
    request: Request,
    queries: Sequence[Query] = (),
    predictions: Sequence[Prediction] = (),
    ready: ReadyModel | None = None,
) -> None:
    """Count an inference that is answered, and offer it to the sinks.

    `served` is None if the request failed before its model was known; `code` is `OK` or an error's code; `ready` is the
    model that answered.
    """
    seconds = perf_counter() - request.started
    if served is None:
        service.answered(protocol, code, seconds)
        return
    served.measurements.record_request(protocol, code, seconds)
    if service.sinks.any:
        service.sinks.offer(
            Outcome(
                protocol,
                served.name,
                served.version,
                code,
                request.started,
                seconds,
                queries,
                predictions,
                ready,
                request.header,
            )
        )


def _are_large(predictions: Sequence[Prediction]) -> bool:
    """Return whether to encode on a thread, so that strings or a large copy do not block the event loop."""
    return any(output.nbytes > SLICE for each in predictions for output in each.outputs)


async def load(served: "ServedModel", *, deadline: float) -> ReadyModel:
    """Return the ready model, and load it if needed. Raises `DeadlineExceeded` if it is not loaded by the deadline.

    `deadline` is on `perf_counter`'s clock. After a timeout the load continues, for later requests.
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
    """Predict all queries, batched with those of other requests."""
    if len(queries) == 1:
        return [await predict(ready, queries[0])]
    return await asyncio.gather(*(predict(ready, query) for query in queries))
