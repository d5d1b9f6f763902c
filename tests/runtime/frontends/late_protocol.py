"""A protocol's module that says which thread imported it, and how often its handlers were made."""

import threading

from runtime.frontends.endpoints import Direct
from runtime.frontends.mounting import Context
from runtime.http.messages import Answer, Request

IMPORTED_ON = threading.current_thread()
MADE: list[Context] = []


def handlers(context: Context) -> dict[str, Direct]:
    """One handler under two keys."""
    MADE.append(context)
    handler = Direct(_answer, context.edge)
    return {"one": handler, "Other": handler}


def _answer(request: Request) -> Answer:
    return Answer(200, request.path.encode())
