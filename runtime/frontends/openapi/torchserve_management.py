"""The routes of TorchServe's management API: each needs a key."""

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
_LATER: Final = answer("accepted; it goes on behind the answer", record({"status": TEXT}))
_KEYS: Final = {"400": "the key is missing or wrong, or the request is not valid", **ERRORS}


def _list(_: Subject) -> Operation:
    models = array(record({"modelName": TEXT, "modelUrl": TEXT}))
    page = answer("a page of models", record({"models": models, "nextPageToken": TEXT}, required=["models"]))
    parameters = [
        query("limit", _NUMBER, "models of a page, 100 at most"),
        query("next_page_token", _NUMBER, "what the page before gave"),
    ]
    return Operation("List the models", {"200": page}, _KEYS, parameters=parameters, secured=True)


def _register(_: Subject) -> Operation:
    parameters = [
        query("url", TEXT, "where the model is: in the store, or below a configured prefix"),
        query("model_name", TEXT, "the name in the URLs"),
        query("batch_size", _NUMBER, "most rows of one run"),
        query("max_batch_delay", _NUMBER, "milliseconds that a run may wait for more rows"),
        query("initial_workers", _NUMBER, "chooses the answer alone: the model is loaded before it"),
        query("response_timeout", _NUMBER, "longest run in seconds"),
        query("startup_timeout", _NUMBER, "longest load in seconds"),
        query("synchronous", _FLAG, "false, with workers: the answer is 202"),
    ]
    answers = {"200": _DONE, "202": _LATER}
    errors = {"409": "the version is registered already", **_KEYS}
    text = "The parameters are in the query, or in a body of JSON."
    return Operation("Register a model", answers, errors, None, parameters, text, secured=True)


def _describe(subject: Subject) -> Operation:
    described = answer("a description of each version that was asked for", array(OBJECT))
    return Operation(f"Describe {subject.name}", {"200": described}, _KEYS, secured=True)


def _scale(subject: Subject) -> Operation:
    parameters = [
        query("min_worker", _NUMBER, "1 or more: a model has one session, which stands for all of them"),
        query("max_worker", _NUMBER, "no less than min_worker"),
        query("synchronous", _FLAG, "whether the answer waits until the model is loaded"),
    ]
    answers = {"200": _DONE, "202": _LATER}
    return Operation(f"Load {subject.name}", answers, _KEYS, parameters=parameters, secured=True)


def _unregister(subject: Subject) -> Operation:
    errors = {"403": "the default version, while others are there", **_KEYS}
    return Operation(f"Unregister {subject.name}", {"200": _DONE}, errors, secured=True)


def _set_default(subject: Subject) -> Operation:
    return Operation(f"Make a version of {subject.name} the default", {"200": _DONE}, _KEYS, secured=True)


def _token(_: Subject) -> Operation:
    kinds = query("type", {"enum": ["management", "inference"]}, "which key is made anew")
    answers = {"200": answer("the key file has a new key", {})}
    return Operation("Renew a key", answers, _KEYS, parameters=[kinds], secured=True)


DESCRIPTION: Final = Description(
    tag="TorchServe management",
    text="Register, load, describe and unregister models. Off unless it is switched on, and always with a key.",
    error=ERROR,
    operations={
        "list": _list,
        "register": _register,
        "describe": _describe,
        "scale": _scale,
        "unregister": _unregister,
        "set_default": _set_default,
        "token": _token,
    },
)
