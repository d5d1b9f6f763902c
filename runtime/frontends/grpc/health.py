"""grpc.health.v1.Health, which Kubernetes' gRPC probes call: for the server, each service, and each model.

    Check    the status of one service; NOT_FOUND for an unknown one
    List     the status of all services
    Watch    a message for every change; SERVICE_UNKNOWN for an unknown service, which may be added later

This module encodes and decodes the small messages itself, so that a probe during a cold start does not import protobuf.
Source: gRPC Health Checking Protocol (https://github.com/grpc/grpc/blob/master/doc/health-checking.md).
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection
from typing import TYPE_CHECKING, Final

from runtime import protobuf
from runtime.errors import InvalidInput, ShuttingDown, UnknownService
from runtime.frontends.grpc.messages import Messages
from runtime.frontends.grpc.streams import StreamCall, Streaming
from runtime.frontends.grpc.unary import Endpoint

if TYPE_CHECKING:
    from runtime.frontends.mounting import Context
    from runtime.service import Service

_SERVICE: Final = 1  # the field of HealthCheckRequest
# HealthCheckResponse: field 1, a varint
_SERVING, _NOT_SERVING, _SERVICE_UNKNOWN = b"\x08\x01", b"\x08\x02", b"\x08\x03"
_MAX_BYTES: Final = 4096  # of a HealthCheckRequest
_POLL_INTERVAL: Final = 0.5  # seconds between two checks of a Watch call


def handlers(context: "Context") -> dict[str, Endpoint | Streaming]:
    """Return the handlers of the service's methods."""
    service, edge = context.service, context.edge
    health = Health(service, context.grpc_services, context.endpoints.is_ready)
    return {
        "Check": Endpoint(health.check, edge),
        "List": Endpoint(health.list, edge),
        "Watch": Streaming(health.watch, edge, _MAX_BYTES),
    }


class Health:
    """The methods of the service, by the same rule as `/healthz/ready`."""

    def __init__(self, service: "Service", services: Collection[str], ready: Callable[[], bool]) -> None:
        """`services` are the mounted gRPC services; `ready` returns whether the process is ready."""
        self._service = service
        self._services = services
        self._ready = ready

    def check(self, message: bytes) -> bytes:
        """Answer whether a service or a model is ready. Raises `InvalidInput` and `UnknownService`."""
        name = _service_of(message)
        status = self._status(name)
        if status is None:
            raise UnknownService(name, [*self._services, *self._service.models])
        return status

    def list(self, _: bytes) -> bytes:
        """Answer whether each service and model is ready; the empty name is the server's."""
        names = ["", *self._services, *self._service.models]
        return b"".join(_entry(name, self._status(name) or _SERVICE_UNKNOWN) for name in names)

    async def watch(self, messages: Messages, call: StreamCall) -> AsyncGenerator[bytes, None]:
        """Yield the status now and after each change. Raises `InvalidInput`, and `ShuttingDown` at a shutdown."""
        name = _service_of(await messages.only())
        last = None
        while True:
            closing = call.closing
            status = _NOT_SERVING if closing else self._status(name) or _SERVICE_UNKNOWN
            if status != last:
                yield status
                last = status
            if closing:
                raise ShuttingDown
            await asyncio.sleep(_POLL_INTERVAL)

    def _status(self, name: str) -> bytes | None:
        """Return the message for the server, a service or a model; None: the name is unknown."""
        if not name or name in self._services:
            return _SERVING if self._ready() else _NOT_SERVING
        versions = self._service.models.get(name)
        if versions is None:
            return None
        return _NOT_SERVING if versions.default in self._service.unready() else _SERVING


def _entry(name: str, status: bytes) -> bytes:
    """Encode an entry of the map in a HealthListResponse."""
    key = name.encode()
    return protobuf.delimited(1, protobuf.delimited(1, key) + protobuf.delimited(2, status))


def _service_of(message: bytes) -> str:
    """Return the field `service` of a HealthCheckRequest; the last occurrence counts. Raises `InvalidInput`."""
    if len(message) > _MAX_BYTES:
        raise InvalidInput("message", got=f"{len(message)} bytes", expected=f"at most {_MAX_BYTES}, for one name")
    name = ""
    try:
        for field in protobuf.length_delimited(message, 0, len(message)):
            if field.number == _SERVICE:
                name = message[field.start : field.end].decode()
    except ValueError as error:  # includes UnicodeDecodeError
        raise InvalidInput("message", got=f"invalid protobuf ({error})", expected="a HealthCheckRequest") from error
    return name
