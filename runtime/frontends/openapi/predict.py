"""The predict API's routes."""

from typing import TYPE_CHECKING, Final

from runtime.frontends.openapi import examples
from runtime.frontends.openapi.operations import (
    ABOUT_ONE_MODEL,
    INFERENCE_ERRORS,
    OBJECT,
    TEXT,
    Description,
    Operation,
    Schema,
    Subject,
    answer,
    array,
    json_body,
    record,
)

if TYPE_CHECKING:
    from runtime.model.signature import Signature

ERROR: Final = record({"error": record({"code": TEXT, "message": TEXT, "details": OBJECT})})
_ANYTHING: Final[Schema] = {"type": ["array", "object", "number", "string", "boolean", "null"]}
_STATES: Final[Schema] = {"enum": ["not_loaded", "loading", "ready", "failed"]}
_SUMMARY: Final = record({"name": TEXT, "version": {"type": ["string", "null"]}, "state": _STATES})


def _predict(subject: Subject) -> Operation:
    signature = subject.signature
    latency = {"type": "number"}
    result = {"model_name": TEXT, "model_version": TEXT, "outputs": _outputs(signature), "latency_ms": latency}
    return Operation(
        f"Predict with {subject.name}",
        {"200": answer("the outputs, in the form of the inputs", record(result))},
        INFERENCE_ERRORS,
        json_body(record({"inputs": _inputs(signature)}, closed=True), example(signature)),
    )


def _models(_: Subject) -> Operation:
    return Operation("List the models", {"200": answer("every model", record({"models": array(_SUMMARY)}))})


def _model(subject: Subject) -> Operation:
    described = answer("state, signature, digest, variant and batching", _SUMMARY)
    return Operation(f"State and signature of {subject.name}", {"200": described}, ABOUT_ONE_MODEL)


def _inputs(signature: "Signature | None") -> Schema:
    """Return the schema of `inputs`; for a model that is not loaded, the general schema of the API."""
    if signature is None:
        return {"type": ["array", "object"]}
    from runtime.protocols import predict_schema

    return predict_schema.inputs(signature)


def _outputs(signature: "Signature | None") -> Schema:
    if signature is None:
        return _ANYTHING
    from runtime.protocols import predict_schema

    return predict_schema.outputs(signature)


def example(signature: "Signature | None") -> object:
    """Return the example of a request; None: the model is not loaded, or has no example."""
    if signature is None or not examples.possible(signature):
        return None
    if len(signature.inputs) == 1 and signature.inputs[0].shape:
        return {"inputs": examples.nested(signature.inputs[0])}
    return {"inputs": {spec.name: examples.nested(spec) for spec in signature.inputs}}


DESCRIPTION: Final = Description(
    tag="Predict API",
    text="The inputs are rows, columns, records or named tensors; the outputs have the same form.",
    error=ERROR,
    operations={
        "POST /api/v1/models/{model}/predict": _predict,
        "GET /api/v1/models": _models,
        "GET /api/v1/models/{model}": _model,
    },
)
