"""Errors in TensorFlow Serving's form, with its messages where clients depend on them."""

from typing import Final

import orjson

from runtime.errors import MethodNotAllowed, ScalezeroError, UnknownModel, UnknownPath
from runtime.http.messages import JSON, Answer
from runtime.protocols.refusals import extra_headers
from runtime.status import TABLE, code_of

_BAD_REQUEST: Final = 400
_NOT_FOUND: Final = 404


def refuse(fault: ScalezeroError) -> Answer:
    """Return the answer for an error. An unknown path or method is a malformed request, 400."""
    if isinstance(fault, (UnknownPath, MethodNotAllowed)):
        return error_answer(_BAD_REQUEST, malformed(fault))
    answer = error_answer(
        TABLE[code_of(fault)].http, servable(fault) if isinstance(fault, UnknownModel) else fault.message
    )
    answer.headers += extra_headers(fault)
    return answer


def error_answer(status: int, text: str) -> Answer:
    """Return an answer with an error document."""
    return Answer(status, orjson.dumps({"error": text}), [JSON])


def malformed(fault: UnknownPath | MethodNotAllowed) -> str:
    """Return the message about an unknown path or method."""
    return f"Malformed request: {fault.method} {fault.path}"


def servable(fault: UnknownModel) -> str:
    """Return the message about an unknown model or version."""
    model, version = fault.details["model"], fault.details.get("version")
    wanted = f"Latest({model})" if version is None else f"Specific({model}, {version})"
    return f"Servable not found for request: {wanted}"


def no_status(model: str, version: int | None) -> Answer:
    """Return the answer to a request for the state of an unknown model or version."""
    text = f"Could not find any versions of model {model}"
    return error_answer(_NOT_FOUND, text if version is None else f"Could not find version {version} of model {model}")
