"""A protocol's module that records the thread of its import and the contexts of its handlers."""

import threading

from runtime.frontends.endpoints import SyncEndpoint
from runtime.frontends.mounting import Context
from runtime.http.messages import Answer, Request

IMPORTED_ON = threading.current_thread()
MADE: list[Context] = []


def handlers(context: Context) -> dict[str, SyncEndpoint]:
    """Return one handler under two keys."""
    MADE.append(context)
    handler = SyncEndpoint(_answer, context.edge)
    return {"one": handler, "Other": handler}


def _answer(request: Request) -> Answer:
    return Answer(200, request.path.encode())
