"""TorchServe's metrics API, on a port of its own: `GET /metrics`, where `name[]` selects counters."""

import socket
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from runtime.errors import InvalidInput
from runtime.frontends.endpoints import Direct
from runtime.http.messages import Answer, Request
from runtime.protocols.torchserve.faults import headers
from runtime.telemetry import torchserve
from runtime.telemetry.prometheus import CONTENT_TYPE

if TYPE_CHECKING:
    from runtime.frontends.mounting import Context
    from runtime.service import Service

_TEXT: Final = (b"content-type", CONTENT_TYPE.encode())
_MOST: Final = 1000  # fields of a query


def handlers(context: "Context") -> dict[str, Any]:
    """The handler by its key in the catalogue."""
    return {"metrics": Direct(_Metrics(context.service).answer, context.edge)}


class _Metrics:
    """The counters of this process."""

    def __init__(self, service: "Service") -> None:
        self._service = service
        self._hostname = socket.gethostname()

    def answer(self, request: Request) -> Answer:
        """`GET /metrics`. Raises `InvalidInput` for a query of too many fields."""
        measured = [served.measurements for served in self._service.models.served()]
        text = torchserve.exposition(measured, hostname=self._hostname, names=_names(request.query))
        return Answer(200, text, [_TEXT, *headers()])


def _names(query: bytes) -> set[str]:
    try:
        pairs = parse_qsl(query.decode("latin-1"), max_num_fields=_MOST)
    except ValueError as error:
        raise InvalidInput("query", got="too many fields", expected=f"at most {_MOST}") from error
    return {value for name, value in pairs if name == "name[]"}
