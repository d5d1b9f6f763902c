"""One event for the author's function: what its thread runs, and its result.

The host runs a WSGI application on a thread, within limits. An event reaches it in the environment of a request, and
its outcome is left in the same place, so that requests and events share the threads, the queue and the limits. The
function runs in Flask's context of a request that carries the event in binary mode, as under functions-framework.
"""

import logging
from typing import TYPE_CHECKING, Final

from runtime.errors import FunctionCrashed, ScalezeroError
from runtime.frontends.functions import event_values
from runtime.frontends.functions.event_data import EventData
from runtime.frontends.functions.wsgi import environment
from runtime.protocols.cloudevents import Event, write_binary

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

    import flask

    from runtime.frontends.functions.event_target import EventTarget

_log: Final = logging.getLogger("scalezero.function")
_KEY: Final = "scalezero.event"  # of the environment


class EventCall:
    """An event, and its reply after the call."""

    __slots__ = ("event", "outcome")

    def __init__(self, event: Event) -> None:
        self.event = event
        self.outcome: Event | EventData | ScalezeroError | None = None

    def environment(self) -> "WSGIEnvironment":
        """Return the environment of a request with the event in binary mode."""
        headers, body = write_binary(self.event)
        scope = {"method": "POST", "path": "/", "query_string": b"", "http_version": "1.1", "headers": headers}
        return {**environment(scope, body), _KEY: self}

    def reply(self) -> Event | EventData | None:
        """Return the reply after the call has returned. Raises its error."""
        if isinstance(self.outcome, ScalezeroError):
            raise self.outcome
        return self.outcome


def with_events(app: "flask.Flask", target: "EventTarget", *, own_crashes: bool) -> "WSGIApplication":
    """Return an application that passes events to the target and all other requests to `app`.

    `own_crashes`: the author answers exceptions with a handler of their own.
    """

    def application(environ: "WSGIEnvironment", start_response: "StartResponse") -> "Iterable[bytes]":
        call = environ.get(_KEY)
        if call is None:
            return app(environ, start_response)
        with app.request_context(environ):
            call.outcome = _outcome(app, target, call.event, own_crashes=own_crashes)
        start_response("204 No Content", [])
        return []

    return application


def _outcome(
    app: "flask.Flask", target: "EventTarget", event: Event, *, own_crashes: bool
) -> Event | EventData | ScalezeroError | None:
    try:
        return _reply(app, target.call(event))
    except ScalezeroError as error:
        return error
    except Exception as error:  # noqa: BLE001 - the author's code may raise anything
        try:
            return _answered_by_author(app, error, own_crashes=own_crashes)
        except ScalezeroError as answered:
            return answered
        except Exception as unanswered:  # noqa: BLE001 - as above, also of the author's handler
            facts = {"event_id": event.id, "event_source": event.source, "event_type": event.type}
            _log.error("function failed", exc_info=unanswered, extra=facts)
            return FunctionCrashed(unanswered)


def _reply(app: "flask.Flask", result: object) -> Event | EventData | None:
    """Return the reply. A tuple is read as Flask reads it: a body, a status and headers."""
    import flask

    if isinstance(result, flask.wrappers.Response) or (type(result) is tuple):
        return event_values.of_response(app.make_response(result))
    return event_values.reply_of(result, app.json.dumps)


def _answered_by_author(app: "flask.Flask", error: Exception, *, own_crashes: bool) -> EventData | None:
    """Return the reply to an exception that the author's code handles. Raises the exception if it does not.

    The author's code handles an exception with `flask.abort`, or with `functions_framework.errorhandler`.
    """
    from werkzeug.exceptions import HTTPException

    try:
        answered = app.handle_user_exception(error)
    except Exception as unhandled:
        if not own_crashes:
            raise
        return event_values.of_response(app.handle_exception(unhandled))
    if isinstance(answered, HTTPException):
        return event_values.of_response(app.make_response(answered), answered.description)
    return event_values.of_response(app.make_response(answered))
