"""The Open Inference Protocol's routes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from runtime.frontends.openapi import examples
from runtime.frontends.openapi.operations import (
    ABOUT_ONE_MODEL,
    ANY_ERROR,
    INFERENCE_ERRORS,
    JSON,
    OBJECT,
    TEXT,
    Describe,
    Description,
    Operation,
    Schema,
    Subject,
    answer,
    array,
    body,
    json_body,
    record,
)

if TYPE_CHECKING:
    from runtime.model.signature import Signature
    from runtime.tensors import TensorSpec

_BINARY: Final = "application/octet-stream"
_FLAG: Final[Schema] = {"type": "boolean"}
_SIZES: Final = array({"type": "integer"})
_DATATYPES: Final = [
    *("BOOL", "BYTES", "FP16", "FP32", "FP64", "BF16"),
    *(f"{sign}INT{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64)),
]
_ABOUT_TENSOR: Final = record({"name": TEXT, "datatype": TEXT, "shape": _SIZES})
_ENTRY: Final = record({"name": TEXT, "version": TEXT, "state": TEXT, "reason": TEXT})


def _server(_: Subject) -> Operation:
    about = record({"name": TEXT, "version": TEXT, "extensions": array(TEXT)})
    return Operation("Metadata of the server", {"200": answer("name, version and extensions", about)})


def _live(_: Subject) -> Operation:
    return _health("Whether the server is live", record({"live": _FLAG}))


def _ready(_: Subject) -> Operation:
    return _health("Whether the server is ready", record({"ready": _FLAG}))


def _model(subject: Subject) -> Operation:
    tensors = array(_ABOUT_TENSOR)
    about = {"name": TEXT, "versions": array(TEXT), "platform": TEXT, "inputs": tensors, "outputs": tensors}
    about["parameters"] = OBJECT  # the served variant
    return Operation(
        f"Metadata of {subject.name}", {"200": answer("its inputs and outputs", record(about))}, ABOUT_ONE_MODEL
    )


def _model_ready(subject: Subject) -> Operation:
    return _health(f"Whether {subject.name} is ready", record({"name": TEXT, "ready": _FLAG}), ABOUT_ONE_MODEL)


def _health(summary: str, schema: Schema, errors: Any = None) -> Operation:  # noqa: ANN401 - as `Operation.errors`
    answers = {"200": answer("yes", schema), "503": answer("no", schema)}
    return Operation(summary, answers, errors or {})


def _config(subject: Subject) -> Operation:
    about = record({"name": TEXT, "platform": TEXT, "max_batch_size": {"type": "integer"}})
    described = answer("the configuration in Triton's form", about)
    return Operation(f"Configuration of {subject.name}", {"200": described}, ABOUT_ONE_MODEL)


def _statistics(subject: Subject) -> Operation:
    counted = answer("requests, runs and times", record({"model_stats": array(OBJECT)}))
    return Operation(f"Statistics of {subject.name}", {"200": counted}, ABOUT_ONE_MODEL)


def _index(_: Subject) -> Operation:
    request = json_body(record({"ready": _FLAG}, required=()), {"ready": True})
    answers = {"200": answer("every version of every model", array(_ENTRY))}
    return Operation("Index of the models", answers, body={**request, "required": False})


def _unsupported(summary: str) -> Describe:
    return lambda _: Operation(summary, {}, {"404": "this server does not support the operation", **ANY_ERROR})


def _infer(subject: Subject) -> Operation:
    signature = subject.signature
    example = _example(signature)
    shown = {} if example is None else {"example": example}
    requests: dict[str, Schema] = {
        JSON: {"schema": _request(signature), **shown},
        _BINARY: {"schema": {"format": "binary"}},
    }
    answered = answer("the outputs", _answer(signature))
    answered["content"][_BINARY] = {"schema": {"format": "binary"}}
    return Operation(
        f"Infer with {subject.name}",
        {"200": answered},
        INFERENCE_ERRORS,
        body(requests),
        description=(
            "The tensors are in the JSON, or in bytes after it. The header Inference-Header-Content-Length then states "
            "the length of the JSON."
        ),
    )


def _request(signature: "Signature | None") -> Schema:
    output = record(
        {"name": _names(signature), "parameters": record({"binary_data": _FLAG}, required=())}, required=["name"]
    )
    inputs = {**array(_inputs(signature)), **({} if signature is None else _count(signature))}
    parameters = record({"binary_data_output": _FLAG}, required=())
    properties = {"id": TEXT, "parameters": parameters, "inputs": inputs, "outputs": array(output)}
    return record(properties, required=["inputs"])


def _names(signature: "Signature | None") -> Schema:
    return TEXT if signature is None else {"enum": [spec.name for spec in signature.outputs]}


def _count(signature: "Signature") -> Schema:
    optional = sum(spec.kind == "optional" for spec in signature.inputs)
    return {"minItems": len(signature.inputs) - optional, "maxItems": len(signature.inputs)}


def _exactly(count: int) -> Schema:
    return {"minItems": count, "maxItems": count}


def _inputs(signature: "Signature | None") -> Schema:
    if signature is None:
        return record({"name": TEXT, "datatype": {"enum": _DATATYPES}, "shape": _SIZES})
    described = [_tensor(spec, bounded=True) for spec in signature.inputs]
    return described[0] if len(described) == 1 else {"anyOf": described} if described else {}


def _tensor(spec: "TensorSpec", *, bounded: bool) -> Schema:
    """Return the schema of a tensor. `bounded`: for an input, whose elements are limited to the range of their type."""
    from runtime.protocols.json.schemas import element, of_any_shape, unbounded
    from runtime.protocols.open_inference.datatypes import datatype

    data = array(of_any_shape(element(spec) if bounded else unbounded(spec)))
    shape: Schema = {"type": "array", "items": {"type": "integer", "minimum": 0}}
    if spec.shape is not None:
        shape |= _exactly(len(spec.shape))
    properties: dict[str, Schema] = {
        "name": {"const": spec.name},
        "datatype": {"const": datatype(spec)},
        "shape": shape,
        "data": data,
        "parameters": record({"binary_data_size": {"type": "integer", "minimum": 0}}, required=()),
    }
    return record(properties, required=["name", "datatype", "shape"])


def _answer(signature: "Signature | None") -> Schema:
    tensors = {"type": "object"} if signature is None else _any([_tensor(s, bounded=False) for s in signature.outputs])
    properties = {"model_name": TEXT, "model_version": TEXT, "id": TEXT, "outputs": array(tensors)}
    return record(properties, required=["model_name", "model_version", "outputs"])


def _any(schemas: Sequence[Schema]) -> Schema:
    return schemas[0] if len(schemas) == 1 else {"anyOf": list(schemas)}


def _example(signature: "Signature | None") -> object:
    """Return an example. JSON has no BF16: BF16 outputs are requested as bytes, and a BF16 input has no example."""
    if signature is None or not examples.possible(signature):
        return None
    from runtime.protocols.open_inference.datatypes import datatype

    inputs, outputs = ([datatype(spec) for spec in specs] for specs in (signature.inputs, signature.outputs))
    if None in {*inputs, *outputs} or "BF16" in inputs:
        return None
    tensors = [
        {"name": spec.name, "datatype": datatype(spec), "shape": examples.shape(spec), "data": examples.flat(spec)}
        for spec in signature.inputs
    ]
    return {"inputs": tensors, **({"parameters": {"binary_data_output": True}} if "BF16" in outputs else {})}


DESCRIPTION: Final = Description(
    tag="Open Inference Protocol v2",
    text="Tensors by name, with their datatypes and shapes, as JSON or as bytes.",
    error=record({"error": TEXT}),
    operations={
        "server": _server,
        "live": _live,
        "ready": _ready,
        "model": _model,
        "model_ready": _model_ready,
        "model_config": _config,
        "model_statistics": _statistics,
        "infer": _infer,
        "index": _index,
        "no_loading": _unsupported("Load or unload a model"),
        "no_shared_memory": _unsupported("Shared memory"),
        "no_settings": _unsupported("Logs and traces"),
    },
)
