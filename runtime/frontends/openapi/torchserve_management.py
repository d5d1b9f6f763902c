"""The routes of TorchServe's management API. Each requires a key."""

from typing import Final

from runtime.frontends.openapi.operations import (
    OBJECT,
    TEXT,
    Description,
    Operation,
    Schema,
    Subject,
    answer,
    array,
    query,
    record,
)
from runtime.frontends.openapi.torchserve import ERROR, ERRORS

_NUMBER: Final[Schema] = {"type": "integer"}
_FLAG: Final[Schema] = {"type": "boolean"}
_DONE: Final = answer("done", record({"status": TEXT}))
_ACCEPTED: Final = answer("accepted; the operation continues after the response", record({"status": TEXT}))
_ERRORS: Final = {"400": "the key is missing or wrong, or the request is not valid", **ERRORS}


def _list(_: Subject) -> Operation:
    models = array(record({"modelName": TEXT, "modelUrl": TEXT}))
    page = answer("a page of models", record({"models": models, "nextPageToken": TEXT}, required=["models"]))
    parameters = [
        query("limit", _NUMBER, "the number of models of a page, at most 100"),
        query("next_page_token", _NUMBER, "the nextPageToken of the previous page"),
    ]
    return Operation("List the models", {"200": page}, _ERRORS, parameters=parameters, secured=True)


def _register(_: Subject) -> Operation:
    parameters = [
        query("url", TEXT, "the location of the model: in the store, or below a configured prefix"),
        query("model_name", TEXT, "the name in the URLs"),
        query("batch_size", _NUMBER, "the largest number of rows of a run"),
        query("max_batch_delay", _NUMBER, "the time that a run may wait for more rows, in milliseconds"),
        query("initial_workers", _NUMBER, "affects only the response: the model is always loaded before it"),
        query("response_timeout", _NUMBER, "the longest time of a run, in seconds"),
        query("startup_timeout", _NUMBER, "the longest time of a load, in seconds"),
        query("synchronous", _FLAG, "false, with initial_workers: the response is 202"),
    ]
    answers = {"200": _DONE, "202": _ACCEPTED}
    errors = {"409": "the version is registered already", **_ERRORS}
    text = "The parameters are in the query, or in a JSON body."
    return Operation("Register a model", answers, errors, None, parameters, text, secured=True)


def _describe(subject: Subject) -> Operation:
    described = answer("a description of each requested version", array(OBJECT))
    return Operation(f"Describe {subject.name}", {"200": described}, _ERRORS, secured=True)


def _openapi(_: Subject) -> Operation:
    document = answer("OpenAPI 3.1", record({"openapi": TEXT}))
    return Operation("This document", {"200": document}, _ERRORS, secured=True)


def _scale(subject: Subject) -> Operation:
    parameters = [
        query("min_worker", _NUMBER, "1 or more; a model always has one session"),
        query("max_worker", _NUMBER, "min_worker or more"),
        query("synchronous", _FLAG, "whether the response waits until the model is loaded"),
    ]
    answers = {"200": _DONE, "202": _ACCEPTED}
    return Operation(f"Load {subject.name}", answers, _ERRORS, parameters=parameters, secured=True)


def _unregister(subject: Subject) -> Operation:
    errors = {"403": "the version is the default, and the model has other versions", **_ERRORS}
    return Operation(f"Unregister {subject.name}", {"200": _DONE}, errors, secured=True)


def _set_default(subject: Subject) -> Operation:
    return Operation(f"Make a version of {subject.name} the default", {"200": _DONE}, _ERRORS, secured=True)


def _token(_: Subject) -> Operation:
    kinds = query("type", {"enum": ["management", "inference"]}, "the key to renew")
    answers = {"200": answer("the key file has a new key", {})}
    return Operation("Renew a key", answers, _ERRORS, parameters=[kinds], secured=True)


DESCRIPTION: Final = Description(
    tag="TorchServe management",
    text="Register, load, describe and unregister models. Disabled by default; every operation requires a key.",
    error=ERROR,
    operations={
        "list": _list,
        "register": _register,
        "describe": _describe,
        "scale": _scale,
        "unregister": _unregister,
        "set_default": _set_default,
        "openapi": _openapi,
        "model_openapi": _openapi,
        "token": _token,
    },
)
