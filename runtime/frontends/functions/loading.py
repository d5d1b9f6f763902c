"""The author's file as a WSGI application: functions-framework imports it, Flask converts its results to responses.

One import loads the function that gets requests and the one that gets events; see `event_target`.
Source of the contract: functions-framework, function signatures.
"""

import logging
import sys
from functools import partial
from http import HTTPStatus
from inspect import iscoroutinefunction, unwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from runtime.author import answer
from runtime.errors import FunctionCrashed, FunctionFailed, ScalezeroError
from runtime.frontends.functions import places
from runtime.frontends.functions.stepwise_json import StepwiseDecoder, StepwiseEncoder, with_numpy

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    import flask
    from werkzeug.exceptions import InternalServerError

_log: Final = logging.getLogger("scalezero.function")
_CRASHED: Final = HTTPStatus.INTERNAL_SERVER_ERROR.value


class Loaded(NamedTuple):
    """The author's functions as one application."""

    application: "WSGIApplication"
    takes_events: bool  # whether it has a function for events; see `event_call`


def load(source: Path, target: str, events: str | None = None) -> Loaded:
    """Import the file with its function `target`, and the function `events` that gets events, if it is named.

    Blocks while the author's code runs.
    Raises `FunctionFailed`, which has no folder and no exception text, because clients, the readiness probe and the
    termination message show it. The traceback is logged.
    """
    try:
        return _load(source, target, events)
    except BaseException as error:
        failed = FunctionFailed(source.name, _reason(error, source, target))
        facts = {"code": failed.code, "reason": failed.message, "source": str(source)}
        _log.error("function not loaded", exc_info=error, extra=facts)
        raise failed from error


class _Asynchronous(Exception):
    """The function is a coroutine function, or uses functions_framework.aio."""


def _load(source: Path, target: str, events: str | None) -> Loaded:
    import flask
    import functions_framework

    from runtime.frontends.functions import event_target

    signature = event_target.default_signature(target, events)
    app = functions_framework.create_app(target, str(source), signature)  # type: ignore[no-untyped-call]
    if not isinstance(app, flask.Flask) or any(
        iscoroutinefunction(unwrap(view)) for view in app.view_functions.values()
    ):
        raise _Asynchronous
    app.log_exception = _log_exception  # type: ignore[method-assign, assignment]
    _process_json_in_steps(app)
    app.register_error_handler(ScalezeroError, answer)
    own_crashes = functions_framework.crash_handler not in app.error_handler_spec[None][_CRASHED].values()
    if not own_crashes:  # keep the author's handler
        app.register_error_handler(_CRASHED, _answer_crash)
    found = event_target.find(sys.modules[source.resolve().stem], target, events)
    if found is None:
        return Loaded(app, takes_events=False)
    from runtime.frontends.functions.event_call import with_events

    return Loaded(with_events(app, found, own_crashes=own_crashes), takes_events=True)


def _reason(error: BaseException, source: Path, target: str) -> str:
    from functions_framework.exceptions import InvalidTargetTypeException, MissingTargetException

    from runtime.frontends.functions.event_target import TargetError

    if isinstance(error, MissingTargetException):
        return f"it has no function {target!r}; set FUNCTION_TARGET to the name of a function in the file"
    if isinstance(error, InvalidTargetTypeException):
        return f"{target!r} in it is not a function; set FUNCTION_TARGET to the name of a function in the file"
    if isinstance(error, TargetError):
        return str(error)
    if isinstance(error, _Asynchronous):
        return f"{target!r} is asynchronous; write it with def instead of async def: each call has its own thread"
    return places.failure(error, source.resolve().parent)


def _process_json_in_steps(app: "flask.Flask") -> None:
    """Let Flask encode and decode JSON in steps, and encode NumPy's values. A JSON provider of the author is kept."""
    from flask.json.provider import DefaultJSONProvider

    provider = app.json
    if type(provider) is DefaultJSONProvider:
        provider.default = with_numpy(provider.default)
        provider.dumps = partial(provider.dumps, cls=StepwiseEncoder)  # type: ignore[method-assign]
        provider.loads = partial(provider.loads, cls=StepwiseDecoder)  # type: ignore[method-assign]


def _log_exception(*arguments: Any) -> None:  # noqa: ANN401 - Flask passes `sys.exc_info()`, since 3.2 after its context
    import flask

    facts = {"method": flask.request.method, "path": flask.request.path}
    _log.error("function failed", exc_info=arguments[-1], extra=facts)


def _answer_crash(error: "InternalServerError") -> "flask.Response":
    """Return the response to a call that raised an exception: it has only the exception's type.

    If the function itself aborted with 500, keep the response of functions-framework.
    """
    import flask
    import functions_framework

    cause = error.original_exception
    if cause is None:
        return flask.make_response(functions_framework.crash_handler(error))  # type: ignore[no-untyped-call]
    return answer(FunctionCrashed(cause))
