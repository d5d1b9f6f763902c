"""The description of the predict API as this process serves it. Pure.

Source: OpenAPI Specification 3.1.
"""

from collections.abc import Mapping
from math import prod
from typing import Any

from runtime.model.signature import Signature
from runtime.tensors import TensorSpec

_ERRORS = {
    "400": "the request is not what the model takes",
    "404": "no such model",
    "405": "another method than POST",
    "413": "the body is above the limit",
    "429": "the queue is full; Retry-After says when to try again",
    "500": "a fault of the server",
    "503": "the model cannot be loaded now",
    "504": "the request waited in the queue for longer than its timeout",
}
_FLAT = 2  # axes of what is flat already
_JSON_TYPES = {"b": "boolean", "i": "integer", "u": "integer", "O": "string"}


def document(signatures: Mapping[str, Signature | None], *, version: str) -> dict[str, Any]:
    """The OpenAPI document; a model that is not loaded yet takes what the API's general form allows."""
    paths: dict[str, Any] = {
        f"/api/v1/models/{name}/predict": {"post": _predict(name, signature)} for name, signature in signatures.items()
    }
    paths["/api/v1/models"] = {"get": _get("List the models", "models")}
    for name in signatures:
        paths[f"/api/v1/models/{name}"] = {"get": _get(f"State and signature of {name}", f"describe_{name}")}
    text = {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Prometheus' text format"}
    paths["/metrics"] = {"get": {"summary": "Measurements", "operationId": "metrics", "responses": {"200": text}}}
    paths["/healthz/live"] = {"get": _get("Whether the process answers", "live")}
    not_ready = {"503": _answer("not ready, with the reason", {"type": "object"})}
    paths["/healthz/ready"] = {"get": _get("Whether traffic may come", "ready", **not_ready)}
    return {
        "openapi": "3.1.0",
        "info": {"title": "ml-inference-api", "version": version},
        "paths": paths,
        "components": {"schemas": {"Error": _ERROR}},
    }


_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["code", "message", "details"],
            "properties": {"code": {"type": "string"}, "message": {"type": "string"}, "details": {"type": "object"}},
        }
    },
}


def _get(summary: str, operation: str, **more: object) -> dict[str, Any]:
    return {
        "summary": summary,
        "operationId": operation,
        "responses": {"200": _answer(summary, {"type": "object"}), **more},
    }


def _answer(description: str, schema: object) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _predict(name: str, signature: Signature | None) -> dict[str, Any]:
    error = {"$ref": "#/components/schemas/Error"}
    body = {
        "type": "object",
        "required": ["inputs"],
        "properties": {"inputs": _inputs(signature)},
        "additionalProperties": False,
    }
    return {
        "summary": f"Predict with {name}",
        "operationId": f"predict_{name}",
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
        "responses": {
            "200": _answer("the outputs, in the form of the inputs", _RESPONSE),
            **{code: _answer(text, error) for code, text in _ERRORS.items()},
        },
    }


_RESPONSE = {
    "type": "object",
    "required": ["model_name", "model_version", "outputs", "latency_ms"],
    "properties": {
        "model_name": {"type": "string"},
        "model_version": {"type": "string"},
        "outputs": {"type": ["array", "object", "number", "null"]},
        "latency_ms": {"type": "number"},
    },
}


def _inputs(signature: Signature | None) -> dict[str, Any]:
    if signature is None:
        return {"type": ["array", "object"]}
    by_name = {
        "type": "object",
        "required": [spec.name for spec in signature.inputs],
        "properties": {spec.name: _tensor(spec, batchable=signature.batchable) for spec in signature.inputs},
        "additionalProperties": False,
    }
    if len(signature.inputs) != 1:
        return by_name
    return {"anyOf": [*_tensor(signature.inputs[0], batchable=signature.batchable)["anyOf"], by_name]}


def _tensor(spec: TensorSpec, *, batchable: bool) -> dict[str, Any]:
    """The nested lists that a tensor may come as: with its first axis and, in a batchable model, without."""
    if spec.shape is None:
        return {"anyOf": [{"type": "array"}, _element(spec)]}
    forms = [_nested(spec, spec.shape)]
    if batchable and len(spec.shape) > 1:
        forms.append(_nested(spec, spec.shape[1:]))
    if batchable and len(spec.shape) > _FLAT and spec.row_shape:  # an image and the like, as one list
        forms.append(_nested(spec, (prod(spec.row_shape),)))
    return {"anyOf": forms}


def _element(spec: TensorSpec) -> dict[str, Any]:
    kind = spec.dtype.kind
    return {"type": ["number", "null"]} if kind == "f" else {"type": _JSON_TYPES[kind]}


def _nested(spec: TensorSpec, shape: tuple[int | str | None, ...]) -> dict[str, Any]:
    if not shape:
        return _element(spec)
    bounds = {"minItems": shape[0], "maxItems": shape[0]} if isinstance(shape[0], int) else {"minItems": 1}
    return {"type": "array", "items": _nested(spec, shape[1:]), **bounds}
