"""The routes of TensorFlow Serving's REST API, and of KServe V1 if both are served on the same paths."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from runtime.frontends.openapi import examples, values
from runtime.frontends.openapi.operations import (
    INVALID_FOR_MODEL,
    OBJECT,
    QUEUE_FULL,
    TEXT,
    TIMED_OUT,
    UNAVAILABLE,
    VERSION,
    Describe,
    Description,
    Operation,
    Schema,
    Subject,
    answer,
    array,
    header,
    in_path,
    json_body,
    record,
)

if TYPE_CHECKING:
    from runtime.model.signature import Signature

_KSERVE: Final = "kserve_v1"
_LABEL: Final = "label"
_ERRORS: Final = {
    "400": f"{INVALID_FOR_MODEL}, or TensorFlow Serving has no such path",
    "404": "unknown model or version",
    "429": QUEUE_FULL,
    "503": UNAVAILABLE,
    "504": TIMED_OUT,
    "default": "any other error",
}
_NAMED: Final = {"signature_name": {"const": "serving_default"}}
_STATUS: Final = record({"error_code": TEXT, "error_message": TEXT})
_STATE: Final = record({"version": TEXT, "state": TEXT, "status": _STATUS})
_CONTEXT: Final = {"context": OBJECT, **_NAMED}


def _predict(subject: Subject) -> Operation:
    signature = subject.signature
    answered = answer("the predictions of instances, or the outputs of inputs", _predicted(signature))
    body = json_body(_predict_request(signature), _predict_example(signature))
    return _inference(f"Predict with {subject.name}", answered, body, subject)


def _classify(subject: Subject) -> Operation:
    pairs = array(array({**array({"type": ["string", "number"]}), "minItems": 2, "maxItems": 2}))
    answered = answer("a label and a score for each class of each example", record({"results": pairs}))
    return _of_examples(f"Classify with {subject.name}", answered, "classifier", subject)


def _regress(subject: Subject) -> Operation:
    answered = answer("a value for each example", record({"results": array({})}))
    return _of_examples(f"Regress with {subject.name}", answered, "regressor", subject)


def _inference(summary: str, answered: Schema, body: Schema, subject: Subject) -> Operation:
    answers = {} if _LABEL in subject.parameters else {"200": answered}  # no version has a label
    return Operation(summary, answers, _ERRORS, body, _path_parameters(subject))


def _models(subject: Subject) -> Operation:
    names = answer("the names of the models", record({"models": array(TEXT)}))
    return Operation("List the names of the models", {"200": names} if _KSERVE in subject.protocols else {}, _ERRORS)


def _status(subject: Subject) -> Operation:
    states = record(
        {"model_version_status": array(_STATE), "name": TEXT, "ready": {"type": "boolean"}},
        required=["model_version_status"],
    )
    answers = {"200": answer("the state of each version", states)}
    return Operation(f"State of {subject.name}", answers, _ERRORS, parameters=_path_parameters(subject))


def _metadata(subject: Subject) -> Operation:
    described = answer("the inputs and outputs", record({"model_spec": OBJECT, "metadata": OBJECT}))
    answers = {} if _LABEL in subject.parameters else {"200": described}
    return Operation(f"Signature of {subject.name}", answers, _ERRORS, parameters=_path_parameters(subject))


def _explain(subject: Subject) -> Operation:
    return Operation(f"Explain {subject.name}", {}, {"501": "the model has no explainer", **_ERRORS}, json_body(OBJECT))


def _preflight(subject: Subject) -> Operation:
    origin = header("Origin", TEXT, "the origin of the page", example="http://localhost")
    answers = {"200": answer("no cross-origin headers")}
    return Operation(
        "Preflight request of a browser", answers, _ERRORS, parameters=[origin, *_path_parameters(subject)]
    )


def _path_parameters(subject: Subject) -> list[Schema]:
    """Return the label or the version in the path. TensorFlow Serving identifies a version by its number."""
    if _LABEL in subject.parameters:
        return [in_path(_LABEL, TEXT, "stable")]
    if VERSION not in subject.parameters or subject.model is None:
        return []
    from runtime import versions

    numbers = [str(versions.number(version)) for version in subject.model.signatures if version]
    if not numbers:
        return [in_path(VERSION, {"type": "string", "pattern": "^[0-9]+$"})]
    default = subject.model.default
    return [in_path(VERSION, {"enum": numbers}, str(versions.number(default)) if default else numbers[0])]


def _predict_request(signature: "Signature | None") -> Schema:
    rows: Schema = {"type": "array", "minItems": 1}
    columns: Schema = {}
    if signature is not None:
        named = record(
            {spec.name: values.whole([spec], values.plain) for spec in signature.inputs if not spec.containers}
        )
        rows = {**rows, "items": {"anyOf": [values.row(signature.inputs, values.plain), _row(signature)]}}
        columns = {"anyOf": [values.whole(signature.inputs, values.plain), named]}
    forms = [record({"instances": rows}), record({"inputs": columns})]
    return {"type": "object", "properties": _NAMED, "oneOf": forms}


def _row(signature: "Signature") -> Schema:
    """Return the schema of a row as an object by input name, which is also valid for a single input."""
    specs = [spec for spec in signature.inputs if not spec.containers]
    return record({spec.name: values.row([spec], values.plain) for spec in specs}, closed=True)


def _predicted(signature: "Signature | None") -> Schema:
    rows: Schema = {}
    columns: Schema = {}
    if signature is not None:
        outputs = values.open_sizes(signature.outputs)
        rows, columns = values.row(outputs, values.plain), values.whole(outputs, values.plain)
    return {"anyOf": [record({"predictions": array(rows)}), record({"outputs": columns})]}


def _predict_example(signature: "Signature | None") -> object:
    if signature is None or not examples.possible(signature):
        return None
    from runtime.protocols.tensorflow_serving import json_request

    tensors: dict[str, Any] = {spec.name: examples.nested(spec) for spec in signature.inputs}
    document: dict[str, Any] = {"inputs": _only(tensors)}
    if all(signature.row_outputs) and all(spec.holds_rows for spec in signature.inputs):
        document = {"instances": [_only({name: tensor[0] for name, tensor in tensors.items()})]}
    body = json_request.Body(document, special=False, raw=None)
    return document if _accepts(lambda: json_request.tensors(body, signature)) else None


def _only(tensors: dict[str, Any]) -> Any:  # noqa: ANN401 - any JSON value
    """Return the value of the only tensor, or all tensors by name."""
    return next(iter(tensors.values())) if len(tensors) == 1 else tensors


def _of_examples(summary: str, answered: Schema, method: str, subject: Subject) -> Operation:
    """Return an operation with examples. It has no successful response if the model's outputs do not fit the method."""
    signature = subject.signature
    features = {"type": "array", "minItems": 1, "items": OBJECT}
    body = json_body(record({"examples": features, **_CONTEXT}, required=["examples"]), _features(signature, method))
    operation = _inference(summary, answered, body, subject)
    return operation if signature is None or _is_of(signature, method) else operation._replace(answers={})


def _is_of(signature: "Signature", method: str) -> bool:
    from runtime.protocols.tensorflow_serving import examples as of_examples

    return _accepts(lambda: getattr(of_examples, method)(signature.outputs))


def _features(signature: "Signature | None", method: str) -> object:
    if signature is None or not examples.possible(signature) or not _is_of(signature, method):
        return None
    from runtime.protocols.tensorflow_serving import examples as of_examples
    from runtime.protocols.tensorflow_serving import json_examples, json_request

    document = {"examples": [{spec.name: examples.flat(spec) for spec in signature.inputs}]}
    body = json_request.Body(document, special=False, raw=None)

    def bind() -> None:
        signature.validate(of_examples.tensors(json_examples.read(body), signature.inputs))

    return document if _accepts(bind) else None


def _accepts(bind: Callable[[], object]) -> bool:
    """Return whether the protocol's translator, called by `bind`, accepts an example."""
    from runtime.errors import ScalezeroError

    try:
        bind()
    except ScalezeroError:
        return False
    return True


OPERATIONS: Final[dict[str, Describe]] = {
    "predict": _predict,
    "classify": _classify,
    "regress": _regress,
    "models": _models,
    "status": _status,
    "metadata": _metadata,
    "explain": _explain,
    "preflight": _preflight,
}
DESCRIPTION: Final = Description(
    tag="TensorFlow Serving",
    text="Predict with rows (instances) or columns (inputs), classify and regress examples, get states and signatures.",
    error=record({"error": TEXT}),
    operations=OPERATIONS,
)
