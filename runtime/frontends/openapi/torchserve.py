"""The routes of TorchServe's inference API."""

from typing import TYPE_CHECKING, Any, Final

from runtime.frontends.openapi import examples
from runtime.frontends.openapi.operations import (
    INVALID_FOR_MODEL,
    JSON,
    OBJECT,
    TEXT,
    Description,
    Operation,
    Schema,
    Subject,
    answer,
    body,
    query,
    record,
)

if TYPE_CHECKING:
    from runtime.model.signature import Signature

ERROR: Final = record({"code": {"type": "integer"}, "type": TEXT, "message": TEXT})
ERRORS: Final = {"404": "unknown model or version", "default": "any other error"}
_BYTES: Final[Schema] = {"schema": {"format": "binary"}}
_FORMS: Final = (
    "The inputs in a form of the predict API, either directly or in an object under inputs, instances or data."
)


def _predict(subject: Subject) -> Operation:
    return _inference(f"Predict with {subject.name}", subject.signature, [])


def _invoke(subject: Subject) -> Operation:
    names = [model.name for model in subject.models]
    name = query("model_name", {"enum": names} if names else TEXT, "the model", example=names[0] if names else None)
    first = Subject(subject.models, subject.models[0]) if names else subject
    return _inference("Predict with the model in the query", first.signature, [name])


def _inference(summary: str, signature: "Signature | None", parameters: list[Schema]) -> Operation:
    example = _example(signature)
    shown = {} if example is None else {"example": example}
    content: dict[str, Schema] = {
        JSON: {"schema": {"description": _FORMS}, **shown},
        "application/octet-stream": _BYTES,
        "application/x-npy": _BYTES,
        "multipart/form-data": {"schema": OBJECT},
    }
    answers = {"200": answer("an entry for each row, or the outputs by name", {})}
    errors = {"400": INVALID_FOR_MODEL, **ERRORS}
    description = (
        f"Any method is accepted. JSON: {_FORMS} Bytes, NumPy arrays and form fields contain the tensors of the inputs."
    )
    return Operation(summary, answers, errors, body(content), parameters, description)


def _example(signature: "Signature | None") -> object:
    if signature is None or not examples.possible(signature):
        return None
    tensors: dict[str, Any] = {spec.name: examples.nested(spec) for spec in signature.inputs}
    return {"inputs": next(iter(tensors.values())) if len(tensors) == 1 and signature.inputs[0].shape else tensors}


def _explain(subject: Subject) -> Operation:
    errors = {"503": "the model has no explainer", **ERRORS}
    return Operation(f"Explain {subject.name}", {}, errors, body({JSON: {"schema": {}}}))


def _describe(_: Subject) -> Operation:
    return Operation("This document", {"200": answer("OpenAPI 3.1", record({"openapi": TEXT}))}, ERRORS)


def _ping(_: Subject) -> Operation:
    health = record({"status": {"enum": ["Healthy", "Unhealthy"]}})
    answers = {"200": answer("the server is ready", health), "500": answer("the server is not ready", health)}
    return Operation("Whether the server is ready", answers, method="get")


DESCRIPTION: Final = Description(
    tag="TorchServe",
    text="The inputs are JSON, NumPy arrays, bytes or forms; the output is a list with an entry for each row.",
    error=ERROR,
    operations={
        "predict": _predict,
        "invoke": _invoke,
        "explain": _explain,
        "describe": _describe,
        "ping": _ping,
    },
)
