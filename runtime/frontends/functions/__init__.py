"""The author's function beside the protocols: who calls it, on which thread, for how long, and what is sent of it.

    host.py      FunctionHost: admits a call, waits for the import and for a thread, answers it within its limit
    loading.py   the author's file -> a WSGI application (functions-framework, Flask); where a failed import failed
    request.py   a request with its body whole, and an end that can be awaited
    call.py      one call: the application runs on a thread, the event loop sends what it makes
    wsgi.py      pure: an ASGI scope -> a WSGI environment; a WSGI answer's head -> what HTTP can send
    stepwise_json.py   JSON of any size without holding up the event loop
    threads.py   the pool: a fixed number of daemon threads

The bridge between WSGI and the event loop is our own. a2wsgi has no limit on a call, leaves a thread blocked forever
when nobody reads its answer any more, and ends the connection on a head that cannot be sent.
"""

from runtime.frontends.functions.call import AnswerBroken
from runtime.frontends.functions.host import NAME, FunctionHost, Passing
from runtime.frontends.functions.request import CallerGone, FunctionRequest

__all__ = ["NAME", "AnswerBroken", "CallerGone", "FunctionHost", "FunctionRequest", "Passing"]
