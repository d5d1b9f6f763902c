"""The operational endpoints, which belong to no protocol."""

from typing import Final

from runtime.frontends.openapi.operations import OBJECT, TEXT, Description, Operation, Schema, Subject, answer, record
from runtime.frontends.openapi.predict import ERROR

_STATUS: Final = record({"status": TEXT})
_REASON: Final[Schema] = {"anyOf": [_STATUS, ERROR]}


def _live(_: Subject) -> Operation:
    stuck = answer("a run or every call of the function hangs; the process must be restarted", _REASON)
    return Operation("Whether the process is live", {"200": answer("live", _STATUS), "503": stuck})


def _ready(_: Subject) -> Operation:
    not_ready = answer(
        "not ready, with the reason",
        record({"status": TEXT, "models": OBJECT, "function": OBJECT}, required=["status", "models"]),
    )
    return Operation("Whether the process is ready", {"200": answer("ready", _STATUS), "503": not_ready})


def _metrics(_: Subject) -> Operation:
    text = answer("Prometheus' text format", TEXT, media="text/plain")
    return Operation("Metrics", {"200": text})


def _openapi(_: Subject) -> Operation:
    return Operation("This document", {"200": answer("OpenAPI 3.1", record({"openapi": TEXT}))})


DESCRIPTION: Final = Description(
    tag="Operations",
    text="Health, metrics and this description.",
    error=ERROR,
    operations={
        "GET /healthz/live": _live,
        "GET /healthz/ready": _ready,
        "GET /metrics": _metrics,
        "GET /openapi.json": _openapi,
    },
)
