"""Errors as HTTP answers, in the JSON form of the predict API."""

from typing import Final

from runtime.errors import ScalezeroError
from runtime.http.messages import JSON, Answer, Headers
from runtime.status import TABLE, code_of, error_body, error_headers, event_http_of

_UNAVAILABLE: Final = 503
_RETRY_AFTER: Final = (b"retry-after", b"5")  # seconds; for an error that states no time of its own


def error_answer(error: ScalezeroError) -> Answer:
    """Return the answer for an error, with the headers that its status requires."""
    return Answer(TABLE[code_of(error)].http, error_body(error), [JSON, *extra_headers(error)])


def extra_headers(error: ScalezeroError) -> Headers:
    """Return the headers that an error adds to its answer in every protocol."""
    return [(name.encode(), value.encode()) for name, value in error_headers(error).items()]


def event_error_answer(error: ScalezeroError) -> Answer:
    """Return the answer for an event: no event, so that its sender does not take it for a reply."""
    status = event_http_of(code_of(error))
    headers = [JSON, *extra_headers(error)]
    if status == _UNAVAILABLE and all(name != _RETRY_AFTER[0] for name, _ in headers):
        headers.append(_RETRY_AFTER)
    return Answer(status, error_body(error), headers)
