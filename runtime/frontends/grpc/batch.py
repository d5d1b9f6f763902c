"""Unary calls with several inferences: each has its own model and its own result, and is counted separately."""

import asyncio
import logging
from collections.abc import Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Protocol

from runtime.errors import InternalError, ScalezeroError
from runtime.frontends import content
from runtime.frontends.grpc import framing
from runtime.frontends.grpc.unary import compress, deadline
from runtime.frontends.inference import SLICE, count, load, predict_all
from runtime.http.messages import Answer, Buffer, Request
from runtime.predictor import ReadyModel
from runtime.status import OK, code_of
from runtime.tensors import Call, Prediction, Query

if TYPE_CHECKING:
    from runtime.http.exchange import Exchange
    from runtime.served_model import ServedModel
    from runtime.service import Service

_log = logging.getLogger("scalezero.request")


class BatchMethod(Protocol):
    """The translator of such a method. An item is the message of a finished inference, or its error."""

    name: str

    def decode(self, message: Buffer, *, most: int) -> list[Call]:
        """Decode a message of at most `most` items. Raises `ScalezeroError`."""

    def bind(self, call: Call, model: ReadyModel) -> list[Query]:
        """Check one call against its model's signature. Raises `ScalezeroError`."""

    def encode(
        self, queries: Sequence[Query], predictions: Sequence[Prediction], model: ReadyModel, *, latency: float
    ) -> Sequence[bytes]:
        """Encode one finished inference as a message, in consecutive pieces; `latency` is in seconds."""

    def join(self, items: Sequence[Sequence[bytes] | ScalezeroError]) -> Sequence[bytes]:
        """Encode the message of the response, in consecutive pieces."""


class Batch:
    """The handler of such a method."""

    def __init__(self, service: "Service", method: BatchMethod) -> None:
        self._service = service
        self._method = method

    def direct(self, _: "Exchange") -> bool:
        """Return False: only `answer` can wait for the inferences."""
        return False

    async def answer(self, request: Request) -> Answer:
        """Answer all items, in their order. Raises `ScalezeroError` if the message is invalid."""
        settings = self._service.settings
        message = await content.run_slices(framing.inflated_view(request, settings.max_body_bytes))
        most = settings.queue_size  # further items would not fit into the queue
        if len(message) > SLICE:
            calls = await asyncio.to_thread(self._method.decode, message, most=most)
        else:
            calls = self._method.decode(message, most=most)
        until = deadline(request)
        items = await asyncio.gather(*(self._item(call, until, request) for call in calls))
        return await compress(request, framing.answer(self._method.join(items)))

    async def _item(self, call: Call, until: float, request: Request) -> Sequence[bytes] | ScalezeroError:
        """Run and count one inference, and return its message or its error."""
        try:
            served = self._service.model(call.model, call.version)
        except ScalezeroError as fault:
            return fault
        try:
            return await self._inferred(served, call, until, request)
        except ScalezeroError as fault:
            self._count(served, fault, request)
            return fault
        except Exception as error:  # noqa: BLE001 - an internal error of one item must not fail the others
            self._count(served, error, request)
            _log.exception("internal error", extra={"path": request.path})
            return InternalError()
        except asyncio.CancelledError as error:
            self._count(served, error, request)
            raise

    def _count(self, served: "ServedModel", error: BaseException, request: Request) -> None:
        count(self._service, served, self._method.name, code_of(error), request)

    async def _inferred(self, served: "ServedModel", call: Call, until: float, request: Request) -> Sequence[bytes]:
        ready = await load(served, deadline=until)
        if call.version is not None:
            self._service.model(call.model, call.version)  # raises if the version, which is known now, is another one
        large = call.size > SLICE
        queries = await asyncio.to_thread(self._method.bind, call, ready) if large else self._method.bind(call, ready)
        for query in queries:
            query.deadline = until
        predictions = await predict_all(ready, queries)
        message = self._method.encode(queries, predictions, ready, latency=perf_counter() - request.started)
        count(self._service, served, self._method.name, OK, request, queries, predictions, ready)
        return message
