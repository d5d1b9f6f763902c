"""Errors as HTTP answers, in the JSON form of the predict API."""

from runtime.errors import ScalezeroError
from runtime.http.messages import JSON, Answer, Headers
from runtime.status import TABLE, code_of, error_body, error_headers


def error_answer(error: ScalezeroError) -> Answer:
    """The answer that tells the client of the error, with the headers that its status asks for."""
    return Answer(TABLE[code_of(error)].http, error_body(error), [JSON, *extra_headers(error)])


def extra_headers(error: ScalezeroError) -> Headers:
    """What an error adds to its answer's headers in every protocol."""
    return [(name.encode(), value.encode()) for name, value in error_headers(error).items()]
