"""The author's file as a WSGI application: functions-framework imports it, Flask answers what it returns or raises.

Source of the contract: functions-framework, function signatures.
"""

import logging
from functools import partial
from http import HTTPStatus
from inspect import iscoroutinefunction, unwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from runtime.author import answer
from runtime.errors import FunctionCrashed, FunctionFailed, ScalezeroError
from runtime.frontends.functions import places
from runtime.frontends.functions.stepwise_json import StepwiseEncoder, with_numpy

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    import flask
    from werkzeug.exceptions import InternalServerError

_log: Final = logging.getLogger("scalezero.function")
_CRASHED: Final = HTTPStatus.INTERNAL_SERVER_ERROR.value


def load(source: Path, target: str) -> "WSGIApplication":
    """Import the function `target` of the file; blocks as long as the author's code does.

    Raises `FunctionFailed`, which names no folder and repeats no exception's text: it goes to callers, to readiness and
    into the termination message. The log gets the traceback.
    """
    try:
        return _application(source, target)
    except BaseException as error:
        failed = FunctionFailed(source.name, _reason(error, source, target))
        facts = {"code": failed.code, "reason": failed.message, "source": str(source)}
        _log.error("function not loaded", exc_info=error, extra=facts)
        raise failed from error


class _Asynchronous(Exception):
    """The function is a coroutine function, or one of functions_framework.aio."""


def _application(source: Path, target: str) -> "WSGIApplication":
    import flask
    import functions_framework

    made = functions_framework.create_app(target, str(source))  # type: ignore[no-untyped-call]
    if not isinstance(made, flask.Flask) or any(
        iscoroutinefunction(unwrap(view)) for view in made.view_functions.values()
    ):
        raise _Asynchronous
    made.log_exception = _log_exception  # type: ignore[method-assign, assignment]
    _write_json_in_steps(made)
    made.register_error_handler(ScalezeroError, answer)
    if functions_framework.crash_handler in made.error_handler_spec[None][_CRASHED].values():  # not the author's own
        made.register_error_handler(_CRASHED, _crashed)
    return made


def _reason(error: BaseException, source: Path, target: str) -> str:
    from functions_framework.exceptions import InvalidTargetTypeException, MissingTargetException

    if isinstance(error, MissingTargetException):
        return f"it has no function {target!r}; FUNCTION_TARGET names the one to serve"
    if isinstance(error, InvalidTargetTypeException):
        return f"{target!r} in it is no function; FUNCTION_TARGET names the one to serve"
    if isinstance(error, _Asynchronous):
        return f"{target!r} is asynchronous; write it with def instead of async def: each call has its own thread"
    return places.failure(error, source.resolve().parent)


def _write_json_in_steps(made: "flask.Flask") -> None:
    """Write JSON as Flask does, and NumPy's values, without blocking the event loop. An author's own provider stays."""
    from flask.json.provider import DefaultJSONProvider

    provider = made.json
    if type(provider) is DefaultJSONProvider:
        provider.default = with_numpy(provider.default)
        provider.dumps = partial(provider.dumps, cls=StepwiseEncoder)  # type: ignore[method-assign]


def _log_exception(*arguments: Any) -> None:  # noqa: ANN401 - Flask passes `sys.exc_info()`, from 3.2 behind its context
    import flask

    facts = {"method": flask.request.method, "path": flask.request.path}
    _log.error("function failed", exc_info=arguments[-1], extra=facts)


def _crashed(error: "InternalServerError") -> "flask.Response":
    """The answer to a call that raised: by the exception's type alone.

    A function that aborts with 500 means that; its answer stays what functions-framework makes of it.
    """
    import flask
    import functions_framework

    cause = error.original_exception
    if cause is None:
        return flask.make_response(functions_framework.crash_handler(error))  # type: ignore[no-untyped-call]
    return answer(FunctionCrashed(cause))
