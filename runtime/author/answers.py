"""Errors as Flask responses, in the form of the predict API."""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from runtime.errors import ScalezeroError

if TYPE_CHECKING:
    import flask

P = ParamSpec("P")
R = TypeVar("R")


def answer(error: ScalezeroError) -> "flask.Response":
    """Return the response for an error that the author's function has caught."""
    import flask

    from runtime.status import TABLE, code_of, error_body, error_headers

    headers = {"content-type": "application/json", **error_headers(error)}
    return flask.Response(error_body(error), TABLE[code_of(error)].http, headers)


def answer_errors(function: Callable[P, R]) -> "Callable[P, R | flask.Response]":
    """Decorate an HTTP function so that it answers each `ScalezeroError` with `answer`.

    scalezero's server does this without the decorator. The plain functions-framework answers 500 to all exceptions,
    including errors of the caller.
    """

    @wraps(function)
    def answering(*args: P.args, **kwargs: P.kwargs) -> "R | flask.Response":
        try:
            return function(*args, **kwargs)
        except ScalezeroError as error:
            return answer(error)

    return answering
