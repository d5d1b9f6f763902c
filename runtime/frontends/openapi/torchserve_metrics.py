"""The route of TorchServe's metrics API, which is served on an additional port."""

from typing import Final

from runtime.frontends.openapi.operations import TEXT, Description, Operation, Subject, answer, array, query
from runtime.frontends.openapi.torchserve import ERROR, ERRORS


def _metrics(_: Subject) -> Operation:
    names = query("name[]", array(TEXT), "the metrics to return; default: all")
    text = answer("Prometheus' text format", TEXT, media="text/plain")
    return Operation("TorchServe's metrics", {"200": text}, ERRORS, parameters=[names])


DESCRIPTION: Final = Description(
    tag="TorchServe metrics",
    text="Counters of requests and latencies under TorchServe's names.",
    error=ERROR,
    operations={"metrics": _metrics},
)
