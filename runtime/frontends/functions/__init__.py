"""The author's function: admits its calls, runs them on threads within a time limit, and sends their responses.

    host.py            FunctionHost: admits a call, waits for the import and for a thread, answers it within its limit
    loading.py         the author's file -> a WSGI application (functions-framework, Flask)
    event_target.py    the function of the file that gets events, and its signature
    event_call.py      one event: what its thread runs, and its result
    event_data.py      the data of a reply
    event_values.py    pure: an event -> the author's CloudEvent; what the function returns -> a reply
    places.py          pure: the line of the author's files where an import failed or a call is running
    request.py         a request: its complete body, and a coroutine that waits until the client disconnects
    call.py            one call: the application runs on a thread, the event loop sends its response
    wsgi.py            pure: an ASGI scope -> a WSGI environment; a WSGI response's head -> a head that HTTP can send
    stepwise_json.py   JSON of any size without blocking the event loop
    threads.py         the pool: a fixed number of daemon threads

This package has its own bridge between WSGI and the event loop. a2wsgi has no time limit for a call, blocks a thread
forever if the client stops reading the response, and closes the connection if a head cannot be sent.
"""

from runtime.frontends.functions.call import AnswerAborted
from runtime.frontends.functions.event_data import EventData
from runtime.frontends.functions.host import NAME, FunctionHost, SendWrapper
from runtime.frontends.functions.loading import Loaded
from runtime.frontends.functions.request import ClientDisconnected, FunctionRequest

__all__ = [
    "NAME",
    "AnswerAborted",
    "ClientDisconnected",
    "EventData",
    "FunctionHost",
    "FunctionRequest",
    "Loaded",
    "SendWrapper",
]
