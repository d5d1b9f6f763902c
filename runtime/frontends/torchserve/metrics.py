"""TorchServe's metrics API, on an additional port: `GET /metrics`, where `name[]` selects counters."""

import socket
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from runtime.errors import InvalidInput
from runtime.frontends.endpoints import SyncEndpoint
from runtime.http.messages import Answer, Request
from runtime.protocols.torchserve.faults import headers
from runtime.telemetry import torchserve
from runtime.telemetry.prometheus import CONTENT_TYPE

if TYPE_CHECKING:
    from runtime.frontends.mounting import Context
    from runtime.service import Service

_TEXT: Final = (b"content-type", CONTENT_TYPE.encode())
_MAX_FIELDS: Final = 1000  # of a query


def handlers(context: "Context") -> dict[str, Any]:
    """Return the handler by its key in the catalogue."""
    return {"metrics": SyncEndpoint(_Metrics(context.service).answer, context.edge)}


class _Metrics:
    """The metrics endpoint."""

    def __init__(self, service: "Service") -> None:
        self._service = service
        self._hostname = socket.gethostname()

    def answer(self, request: Request) -> Answer:
        """Answer `GET /metrics`. Raises `InvalidInput` for a query with more than 1000 fields."""
        measured = [served.measurements for served in self._service.models.served()]
        text = torchserve.exposition(measured, hostname=self._hostname, names=_names(request.query))
        return Answer(200, text, [_TEXT, *headers()])


def _names(query: bytes) -> set[str]:
    try:
        pairs = parse_qsl(query.decode("latin-1"), max_num_fields=_MAX_FIELDS)
    except ValueError as error:
        raise InvalidInput("query", got="too many fields", expected=f"at most {_MAX_FIELDS} fields") from error
    return {value for name, value in pairs if name == "name[]"}
