"""The model as answerer of events: the translator of an event's data, and inferences that several deliveries share."""

import asyncio
from collections.abc import Generator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from runtime.errors import BadEvent, UnsupportedOperation
from runtime.frontends.events.flights import Flight, Flights
from runtime.frontends.events.recognizing import NAME
from runtime.frontends.events.replies import Replies
from runtime.frontends.inference import Inference
from runtime.http.messages import Answer, Request
from runtime.predictor import ReadyModel
from runtime.protocols import predict
from runtime.protocols.cloudevents import Event, Mode, data
from runtime.protocols.json import tensors as json_tensors
from runtime.protocols.json import writer
from runtime.status import OK
from runtime.tensors import Call, Prediction, Query

if TYPE_CHECKING:
    from runtime.frontends.inference import Edge
    from runtime.http.exchange import Exchange
    from runtime.service import Service

MODEL, VERSION = "mlmodel", "mlmodelversion"  # the extensions of an event that select a model; none: the main model


class Delivery:
    """One request with one event: `Request.context`."""

    __slots__ = ("code", "event", "flight", "left", "mode")

    def __init__(self, event: Event, mode: Mode) -> None:
        self.event = event
        self.mode = mode
        self.code = OK  # of the answer
        self.flight: Flight | None = None  # the flight whose answer this delivery computes; None: no other can join it
        self.left = False  # its client has disconnected


class _Form(NamedTuple):
    """The event that a query belongs to, and the form of its inputs."""

    event: Event
    inputs: object


class EventTranslator:
    """The translator of the event in `Request.context`. The data of a reply is the answer of the predict API."""

    name = NAME

    def __init__(self, service: "Service", replies: Replies) -> None:
        self._service = service
        self._replies = replies

    def decode(self, request: Request) -> Call:
        """Parse small data at once. Raises `InvalidInput`, and `BadEvent` if no model is selected."""
        event = request.context.event
        return self._call(event, data.load(event))

    def decode_slices(self, request: Request) -> Generator[None, None, Call]:
        """Parse data of any size in steps. Raises as `decode` does."""
        event = request.context.event
        parsed = yield from data.load_slices(event)
        return self._call(event, parsed)

    def bind(self, call: Call, model: ReadyModel) -> list[Query]:
        """Check the data, and return one query. Raises `InvalidInput` and `BadEvent`."""
        query = data.bind(call.parts, model.signature)
        event: Event = call.parts.event
        query.form = _Form(event, query.form)
        query.id = event.id
        query.trace = event.attributes.get("traceparent")
        return [query]

    def encode(
        self, queries: Sequence[Query], predictions: Sequence[Prediction], model: ReadyModel, *, latency: float
    ) -> Answer:
        """Return the reply in binary mode. `latency` is in seconds."""
        query, prediction = queries[0], predictions[0]
        form: _Form = query.form  # type: ignore[assignment] # `bind` sets it
        query.form = form.inputs
        document = predict.answer(query, prediction, model.signature, latency=latency)
        large = writer.is_large(prediction.outputs)
        content = b"".join(writer.dump(document)) if large else json_tensors.dump(document)
        return self._replies.of_model(form.event, content, model=prediction.model, version=prediction.version)

    def _call(self, event: Event, parsed: data.Data) -> Call:
        attributes = event.attributes
        model = (attributes.get(MODEL) if attributes else None) or self._service.main
        if model is None:
            raise self._no_model()
        call = Call(model, attributes.get(VERSION) if attributes else None, parsed)
        call.size = len(event.data)
        return call

    def _no_model(self) -> Exception:
        names = ", ".join(self._service.models)
        if names:
            expected = f"the name of a model, as none is the main model; served: {names}"
            return BadEvent(f"ce-{MODEL}", got="nothing", expected=expected)
        reason = "this process serves no model, and its function has no target for events; set SCALEZERO_EVENT_TARGET"
        return UnsupportedOperation("an event", reason)


class EventInference(Inference):
    """The inferences of events, each of which several deliveries of one event may wait for."""

    is_timed = False  # a Broker drops the header, and a known event has no times

    def __init__(self, service: "Service", translator: EventTranslator, edge: "Edge", flights: Flights) -> None:
        super().__init__(service, translator, edge)
        self._flights = flights

    def cancel(self, pending: Any) -> None:  # noqa: ANN401 - as in the base class
        """Note that the first delivery's client has disconnected. Cancel the inference if no other delivery waits."""
        delivery: Delivery = pending.exchange.request.context
        flight = delivery.flight
        if flight is None or delivery.left:
            super().cancel(pending)
            return
        delivery.left = True
        if self._flights.leave(flight, pending.exchange):
            flight.abandon = partial(super().cancel, pending)
        elif flight.task is None:  # otherwise the task is cancelled, and calls this method again
            super().cancel(pending)

    def start_large(self, pending: Any, prediction: Prediction) -> None:  # noqa: ANN401 - as in the base class
        """Encode a large prediction in a task of the flight, which the first client does not cancel."""
        exchange: Exchange = pending.exchange
        flight: Flight | None = exchange.request.context.flight
        if flight is None:
            super().start_large(pending, prediction)
        else:
            finish: asyncio.Task[None] = self._service.background.start(
                "event", self._finish_large(pending, prediction)
            )
            flight.task = finish
