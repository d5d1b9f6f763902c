"""CloudEvents that are posted to the inference routes of KServe: `/v1/models/{m}:predict` and `/v2/models/{m}/infer`.

The data of the event is the request of the route, and the data of the reply its response, as in KServe. Each event is a
new inference: these routes have no window of known events, and errors have the form of the route. The handlers import
no event modules before the first event.
Source: KServe, kserve/protocol/dataplane.py and kserve/utils/utils.py.
"""

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from runtime.errors import InvalidInput
from runtime.frontends.events.recognizing import is_event
from runtime.http.messages import Answer, Request

if TYPE_CHECKING:
    from runtime.frontends.events.replies import Replies
    from runtime.frontends.inference import Inference
    from runtime.http.exchange import Exchange

TYPE: Final = "io.kserve.inference.response"
_SOURCE: Final = "io.kserve.inference."  # and the model's name


class WithEvents:
    """The handler of a route of KServe, which also answers the events that are posted to it."""

    def __init__(self, handler: "Inference") -> None:
        self._handler = handler
        self._replies: Replies | None = None

    def direct(self, exchange: "Exchange") -> bool:
        """Answer a request that is no event, if the handler can without a task."""
        return not is_event(exchange.request) and self._handler.direct(exchange)

    async def answer(self, request: Request) -> Answer:
        """Answer in a coroutine. Raises `ScalezeroError`."""
        if not is_event(request):
            return await self._handler.answer(request)
        if self._replies is None:
            module: Any = await asyncio.to_thread(import_module, "runtime.frontends.events.replies")
            self._replies = module.Replies(TYPE, source=None)
        return await _answer_event(request, self._handler, self._replies)


async def _answer_event(request: Request, handler: "Inference", replies: "Replies") -> Answer:
    """Pass the data of an event to the handler, and return the answer as the data of an event in the same mode."""
    from runtime.frontends import content
    from runtime.frontends.events.replies import in_mode
    from runtime.protocols import cloudevents

    mode = cloudevents.mode_of(request) or cloudevents.Mode.BINARY
    if mode is cloudevents.Mode.BATCHED:
        kind = (request.header(b"content-type") or b"").decode("latin-1")
        raise InvalidInput("Content-Type", got=repr(kind[:80]), expected="one event: this route accepts no batches")
    event = await content.run_slices(cloudevents.read_slices(request))
    inner = request.with_body(event.body())
    inner.match, inner.reserve, inner.started = request.match, request.reserve, request.started
    answer = await handler.answer(inner)
    if answer.status != HTTPStatus.OK:
        return answer
    kind = next(value for name, value in answer.headers if name == b"content-type").decode("latin-1")
    source = f"{_SOURCE}{request.parameters['model']}"
    reply = replies.of_kserve(event, kind, await _whole(answer), source=source)
    others = [each for each in answer.headers if each[0] != b"content-type"]
    return in_mode(reply._replace(headers=[*reply.headers, *others]), mode)


async def _whole(answer: Answer) -> bytes:
    """Return the body of an answer that may be made in pieces."""
    body = answer.body
    if isinstance(body, bytes):
        return body
    if isinstance(body, AsyncIterator):
        return b"".join([piece async for piece in body])
    pieces = []
    for piece in body:
        pieces.append(piece)
        await asyncio.sleep(0)  # a piece takes milliseconds to make
    return b"".join(pieces)
