"""KServe's V1 routes. If TensorFlow Serving is served too, it owns the routes below /v1/models."""

from typing import TYPE_CHECKING, Any, Final

from runtime.frontends.openapi import examples, values
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


def _alive(_: Subject) -> Operation:
    return Operation("Whether the server is alive", {"200": answer("alive", record({"status": TEXT}))})


def _models(_: Subject) -> Operation:
    names = answer("the names of the models", record({"models": array(TEXT)}))
    return Operation("List the names of the models", {"200": names})


def _model(subject: Subject) -> Operation:
    ready = answer("ready", record({"name": TEXT, "ready": {"type": "boolean"}}))
    errors = {"503": "not ready", **ABOUT_ONE_MODEL}
    return Operation(f"Whether {subject.name} is ready", {"200": ready}, errors)


def _predict(subject: Subject) -> Operation:
    signature = subject.signature
    predictions = answer("the predictions", record({"predictions": _predictions(signature)}))
    body = json_body(_request(signature), _example(signature))
    return Operation(f"Predict with {subject.name}", {"200": predictions}, INFERENCE_ERRORS, body)


def _explain(subject: Subject) -> Operation:
    errors = {"501": "the model has no explainer", **ABOUT_ONE_MODEL}
    return Operation(f"Explain {subject.name}", {}, errors, json_body(OBJECT))


def _request(signature: "Signature | None") -> Schema:
    rows = array({}) if signature is None else array(_row(signature))
    return {"type": "object", "anyOf": [record({"instances": rows}), record({"inputs": rows})]}


def _row(signature: "Signature") -> Schema:
    """Return the schema of a row: a row of the only input, or an object with a row of each input."""
    specs = [spec for spec in signature.inputs if not spec.containers]
    named = record({spec.name: values.row([spec], values.with_null) for spec in specs})
    return {"anyOf": [values.row(specs, values.with_null), named]} if len(specs) == 1 else named


def _predictions(signature: "Signature | None") -> Schema:
    """Return the schema of the predictions: a list with an entry for each row, or the outputs if they have no rows."""
    if signature is None:
        return {}
    outputs = values.open_sizes(signature.outputs)
    return {"anyOf": [array(values.row(outputs, values.with_null)), values.whole(outputs, values.with_null)]}


def _example(signature: "Signature | None") -> object:
    if signature is None or not examples.possible(signature) or not signature.inputs:
        return None
    tensors: dict[str, Any] = {spec.name: examples.nested(spec) for spec in signature.inputs}
    if not all(isinstance(tensor, list) for tensor in tensors.values()):
        return None  # a scalar is not a list of instances
    if len(tensors) == 1:
        return {"instances": next(iter(tensors.values()))}
    records = zip(*tensors.values(), strict=False)
    return {"instances": [dict(zip(tensors, each, strict=True)) for each in records]}


DESCRIPTION: Final = Description(
    tag="KServe V1",
    text="Instances in, predictions out.",
    error=record({"error": TEXT}),
    operations={"alive": _alive, "models": _models, "model": _model, "predict": _predict, "explain": _explain},
)
