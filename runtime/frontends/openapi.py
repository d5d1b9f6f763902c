"""The description of the predict API as this process serves it. Pure.

Source: OpenAPI Specification 3.1.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from runtime.model.signature import Signature
from runtime.protocols import predict_schema

_ERRORS = {
    "400": "the request is not what the model takes",
    "404": "no such model",
    "405": "another method than POST",
    "408": "the request was not complete in time",
    "413": "the body, as it came or inflated, is above the limit",
    "415": "a Content-Encoding that is not read here",
    "429": "the queue is full; Retry-After says when to try again",
    "431": "the request line and headers are above the limit",
    "500": "a fault of the server",
    "503": "the model cannot be loaded now, or the server is overloaded or ends",
    "504": "the request waited in the queue, or its run took, longer than its timeout",
}


def document(signatures: Mapping[str, Signature | None], *, version: str) -> dict[str, Any]:
    """The OpenAPI document; a model that is not loaded yet takes what the API's general form allows."""
    paths: dict[str, Any] = {
        f"{_path(name)}/predict": {"post": _predict(name, signature)} for name, signature in signatures.items()
    }
    paths["/api/v1/models"] = {"get": _get("List the models", "models")}
    for name in signatures:
        paths[_path(name)] = {"get": _get(f"State and signature of {name}", f"describe_{name}")}
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


def _path(name: str) -> str:
    """A model's path; its name is one segment, whatever it holds (RFC 3986, section 2.1)."""
    return f"/api/v1/models/{quote(name, safe='')}"


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
    return {
        "summary": f"Predict with {name}",
        "operationId": f"predict_{name}",
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": predict_schema.request(signature)}},
        },
        "responses": {
            "200": _answer("the outputs, in the form of the inputs", predict_schema.response(signature)),
            **{code: _answer(text, error) for code, text in _ERRORS.items()},
        },
    }
