"""The handler of `POST /events`, and of the events that are posted to `/`.

    read -> known? the same reply again -> in flight? wait with its first delivery -> author's function, or the model

An event that its sender must deliver again (429, 503, ...) is not kept as known. See docs/events.md.
"""

import asyncio
from collections.abc import Mapping
from functools import partial
from http import HTTPStatus
from time import perf_counter
from typing import TYPE_CHECKING, Final

from runtime.errors import BatchesDisabled, PayloadTooLarge, ScalezeroError, ShuttingDown
from runtime.frontends import content
from runtime.frontends.events import objects
from runtime.frontends.events import replies as writing
from runtime.frontends.events.flights import Flight, Flights
from runtime.frontends.events.inference import MODEL, Delivery, EventInference, EventTranslator
from runtime.frontends.events.reading import read, read_like, read_small, with_trace
from runtime.frontends.events.recognizing import NAME
from runtime.frontends.events.replies import Replies, in_mode
from runtime.frontends.events.window import Reply, Window
from runtime.frontends.inference import SLICE, count
from runtime.http.messages import Answer, Request
from runtime.protocols import cloudevents
from runtime.protocols.cloudevents import Event, Mode
from runtime.status import code_of
from runtime.telemetry import logs

if TYPE_CHECKING:
    from runtime.frontends.functions import FunctionHost
    from runtime.frontends.inference import Edge
    from runtime.frontends.mounting import Context
    from runtime.http.exchange import Exchange

_BINARY, _BATCHED = Mode.BINARY, Mode.BATCHED
MAX_BATCH: Final = 1000  # events of one request


def handlers(context: "Context") -> Mapping[str, "EventHandler"]:
    """Return the handler of events."""
    return {"receive": EventHandler(context)}


class EventHandler:
    """Answers events, each once."""

    def __init__(self, context: "Context") -> None:
        settings = context.service.settings
        self._service = context.service
        self._edge = context.edge
        self._function: FunctionHost | None = context.endpoints.function
        self._accepts_batches = settings.event_batches
        self._parallel = settings.batch_size  # events of a batch that are answered at once
        self._flights = Flights()
        self._window: Window | None = None
        if settings.event_window:
            self._window = Window(seconds=settings.event_window, events=settings.event_window_size)
        self._replies = Replies(settings.event_reply_type, source=settings.service)
        self._objects = objects.StoredObjects(settings)
        translator = EventTranslator(self._service, self._replies)
        self._inference = EventInference(self._service, translator, _Edge(self, self._edge), self._flights)

    # The direct path.

    def admit(self, _: Request) -> bool:
        """Return False: an event is no stream."""
        return False

    def direct(self, exchange: "Exchange") -> bool:
        """Answer one small event for a loaded model without a task, and return whether that is possible."""
        request = exchange.request
        if len(request.body) > SLICE or not self._is_for_model() or request.header(b"content-encoding"):
            return False
        mode, event = _BINARY, read_like(request)
        if event is None:
            found = cloudevents.mode_of(request)
            if found is None or found is _BATCHED:
                return False
            mode = found
            try:
                event = read_small(request, mode)
            except ScalezeroError as fault:
                count(self._service, None, NAME, code_of(fault), request)
                self._edge.reply(exchange, self._edge.answer_error(fault, request))
                return True
        if objects.may_be_named(event):
            return False
        request.context = delivery = Delivery(with_trace(event, request), mode)
        if self._window is None:
            return self._inference.begin(exchange)
        return self._answer_once(exchange, delivery, self._window)

    def _answer_once(self, exchange: "Exchange", delivery: Delivery, window: Window) -> bool:
        key = delivery.event.key
        known = window.find(key, perf_counter())
        if known is not None:
            self._answer_again(exchange, known)
            return True
        flight = self._flights.find(key)
        if flight is not None:
            flight.waiting[exchange] = self._answer_again
            exchange.on_cancel = partial(self._flights.leave, flight, exchange)
            return True
        flight = delivery.flight = self._flights.begin(key, exchange)
        if self._inference.begin(exchange):
            return True
        self._flights.forget(flight)
        return False

    def finish(self, exchange: "Exchange", answer: Answer) -> None:
        """Send the answer of an inference on the direct path to all deliveries of its event."""
        delivery: Delivery = exchange.request.context
        reply = Reply(answer.status, answer.headers, answer.body, delivery.code)  # type: ignore[arg-type] # it is bytes
        flight = delivery.flight
        if flight is not None:
            if flight.waiting:
                reply = reply._replace(headers=[*answer.headers])  # the headers of `answer` are completed in place
            has_left = flight.first is None
            self._land(flight, reply)
            if has_left:
                return
        self._edge.reply(exchange, answer if delivery.mode is _BINARY else in_mode(reply, delivery.mode))

    def _send(self, exchange: "Exchange", reply: Reply) -> None:
        self._edge.reply(exchange, in_mode(reply, exchange.request.context.mode))

    def _answer_again(self, exchange: "Exchange", reply: Reply) -> None:
        self._count_again(exchange.request, reply)
        self._send(exchange, reply)

    def _land(self, flight: Flight, reply: Reply) -> None:
        if self._window is not None:
            self._window.store(flight.key, reply, perf_counter())
        self._flights.land(flight, reply)

    def _count_again(self, request: Request, reply: Reply) -> None:
        """Count a delivery that gets the answer of another one."""
        self._service.answered(NAME, reply.code, perf_counter() - request.started)

    def _is_for_model(self) -> bool:
        return self._function is None or self._function.takes_events is False

    # In a task.

    async def answer(self, request: Request) -> Answer:
        """Answer the event of a request, or the events of a batch. Raises `ScalezeroError`."""
        mode = cloudevents.mode_of(request)
        try:
            if mode is Mode.BATCHED:
                return await self._answer_batch(request)
            event = await read(request, mode)
        except ScalezeroError as fault:
            count(self._service, None, NAME, code_of(fault), request)
            raise
        request.context = Delivery(with_trace(event, request), mode or Mode.BINARY)
        return in_mode(await self._reply(request), request.context.mode)

    async def _reply(self, request: Request) -> Reply:
        """Return the reply to the event in `Request.context`. An error is a reply too."""
        delivery: Delivery = request.context
        if self._window is None:
            return await self._try(request)
        known = self._window.find(delivery.event.key, perf_counter())
        flight = None if known else self._flights.find(delivery.event.key)
        if known is None and flight is None:
            flight = self._flights.begin(delivery.event.key)
            flight.task = self._service.background.start("event", self._fly(flight, request))
            return await self._flights.wait(flight)
        reply = known or await self._flights.wait(flight)  # type: ignore[arg-type] # one of both is not None
        self._count_again(request, reply)
        return reply

    async def _fly(self, flight: Flight, request: Request) -> None:
        try:
            reply = await self._try(request)
        except asyncio.CancelledError:
            if flight.waiting:  # the process is ending
                self._land(flight, self._refusal(ShuttingDown(), request))
            raise
        self._land(flight, reply)

    async def _try(self, request: Request) -> Reply:
        try:
            return await self._compute(request)
        except Exception as error:  # noqa: BLE001 - each delivery must get an answer
            return self._refusal(error, request)

    async def _compute(self, request: Request) -> Reply:
        """Call the author's function, or the model. Raises `ScalezeroError`."""
        function = self._function
        if function is not None:
            try:
                if await function.accepts_events():
                    return await self._call(function, request)
            except (Exception, asyncio.CancelledError) as error:
                count(self._service, None, NAME, code_of(error), request)
                raise
        await self._fetch_object(request)
        answer = await self._inference.answer(request)
        return Reply(answer.status, answer.headers, answer.body)  # type: ignore[arg-type] # it is bytes

    async def _call(self, function: "FunctionHost", request: Request) -> Reply:
        event: Event = request.context.event
        logs.bind({"event_id": event.id, "event_source": event.source})
        answer = await function.answer_event(event)
        count(self._service, None, NAME, request.context.code, request)
        if answer is None:
            return writing.NO_REPLY
        if isinstance(answer, Event):
            return self._replies.of_event(event, answer)
        return self._replies.of_function(event, answer.content_type, answer.data, model=self._service.main)

    async def _fetch_object(self, request: Request) -> None:
        """If the event is about a stored object, replace its data by the object."""
        delivery: Delivery = request.context
        if not objects.may_be_named(delivery.event):
            return
        try:
            delivery.event = await self._objects.with_object(delivery.event)
        except (Exception, asyncio.CancelledError) as error:
            count(self._service, None, NAME, code_of(error), request)
            raise

    def _refusal(self, error: Exception, request: Request) -> Reply:
        answer = self._edge.answer_error(error, request)
        return Reply(answer.status, answer.headers, answer.body, code_of(error))  # type: ignore[arg-type] # it is bytes

    async def _answer_batch(self, request: Request) -> Answer:
        """Answer the events of a batch: each with its reply, or with an event that has its error.

        If one of them must be delivered again, the whole batch must, as it has one status; those that are answered by
        then are known.
        """
        if not self._accepts_batches:
            raise BatchesDisabled((request.header(b"content-type") or b"").decode("latin-1"))
        events = await content.run_slices(cloudevents.read_batch_slices(request.body, request.header(b"content-type")))
        if len(events) > MAX_BATCH:
            raise PayloadTooLarge("batch", limit=MAX_BATCH, unit="events", got=len(events))
        free = asyncio.Semaphore(self._parallel)

        async def one(event: Event) -> Reply:
            part = request.with_body(b"")
            part.reserve = request.reserve
            part.context = Delivery(event, Mode.BATCHED)
            async with free:
                return await self._reply(part)

        answers = await asyncio.gather(*map(one, events))
        again = next((each for each in answers if not each.is_final), None)
        if again is not None:
            return in_mode(again, Mode.BINARY)
        written = [self._part(event, reply) for event, reply in zip(events, answers, strict=True)]
        wanted = [each for each in written if each is not None]
        return writing.in_batch(wanted) if wanted else in_mode(writing.NO_REPLY, Mode.BINARY)

    def _part(self, event: Event, reply: Reply) -> Event | None:
        if reply.status == HTTPStatus.NO_CONTENT:
            return None
        if reply.status == HTTPStatus.OK:
            return writing.event_of(reply)
        return self._replies.of_error(event, reply.body, model=self._model_of(event))

    def _model_of(self, event: Event) -> str | None:
        """Return the model that the event selects, if the process serves it and answers by it; else the main model."""
        selected = event.attributes.get(MODEL)
        return selected if self._is_for_model() and selected in self._service.models else self._service.main


class _Edge:
    """The application, as the inferences of events use it."""

    def __init__(self, handler: EventHandler, edge: "Edge") -> None:
        self._edge = edge
        self.complete = edge.complete
        self.reply = handler.finish  # answers all deliveries of the event

    def answer_error(self, error: Exception, request: Request) -> Answer:
        """Note the error, and build the response."""
        request.context.code = code_of(error)
        return self._edge.answer_error(error, request)
