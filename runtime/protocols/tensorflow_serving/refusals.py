"""Errors in TensorFlow Serving's form and, where its clients know them, in its words."""

from typing import Final

import orjson

from runtime.errors import MethodNotAllowed, ScalezeroError, UnknownModel, UnknownPath
from runtime.http.messages import JSON, Answer
from runtime.protocols.refusals import extra_headers
from runtime.status import TABLE, code_of

_BAD_REQUEST: Final = 400
_NOT_FOUND: Final = 404


def refuse(fault: ScalezeroError) -> Answer:
    """The answer that tells of an error. A path or a method that is not there is a malformed request, 400."""
    if isinstance(fault, (UnknownPath, MethodNotAllowed)):
        return error_answer(_BAD_REQUEST, malformed(fault))
    answer = error_answer(
        TABLE[code_of(fault)].http, servable(fault) if isinstance(fault, UnknownModel) else fault.message
    )
    answer.headers += extra_headers(fault)
    return answer


def error_answer(status: int, text: str) -> Answer:
    """An error document."""
    return Answer(status, orjson.dumps({"error": text}), [JSON])


def malformed(fault: UnknownPath | MethodNotAllowed) -> str:
    """The text about a path or a method that is not there."""
    return f"Malformed request: {fault.method} {fault.path}"


def servable(fault: UnknownModel) -> str:
    """The text about a model, or a version of it, that is not there."""
    model, version = fault.details["model"], fault.details.get("version")
    wanted = f"Latest({model})" if version is None else f"Specific({model}, {version})"
    return f"Servable not found for request: {wanted}"


def no_status(model: str, version: int | None) -> Answer:
    """The answer to who asks for the state of what is not there."""
    text = f"Could not find any versions of model {model}"
    return error_answer(_NOT_FOUND, text if version is None else f"Could not find version {version} of model {model}")
