"""grpc.health.v1.Health/Check, as Kubernetes' gRPC probes call it: for the server, each service, and each model.

The two messages have one field each and are read and written here, so that a probe during a cold start does not import
protobuf. Source: gRPC Health Checking Protocol (https://github.com/grpc/grpc/blob/master/doc/health-checking.md).
"""

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Final

from runtime import protobuf
from runtime.errors import InvalidInput, UnknownService
from runtime.frontends.grpc.unary import Endpoint

if TYPE_CHECKING:
    from runtime.frontends.mounting import Context
    from runtime.service import Service

_SERVICE: Final = 1  # the field of HealthCheckRequest
_SERVING, _NOT_SERVING = b"\x08\x01", b"\x08\x02"  # HealthCheckResponse: field 1, a varint


def handlers(context: "Context") -> dict[str, Endpoint]:
    """The methods of the service."""
    service = context.service
    health = Health(service, context.grpc_services, context.endpoints.takes_traffic)
    return {"Check": Endpoint(health.check, context.edge, service.settings.max_body_bytes)}


class Health:
    """What is ready, as `/healthz/ready` has it."""

    def __init__(self, service: "Service", services: Collection[str], ready: Callable[[], bool]) -> None:
        """`services` are the gRPC services that are served here; `ready` says whether traffic may come."""
        self._service = service
        self._services = services
        self._ready = ready

    def check(self, message: bytes) -> bytes:
        """Whether a service or a model takes requests. Raises `InvalidInput` and `UnknownService`."""
        name = _service_of(message)
        if not name or name in self._services:
            return _SERVING if self._ready() else _NOT_SERVING
        versions = self._service.models.get(name)
        if versions is None:
            raise UnknownService(name, [*self._services, *self._service.models])
        return _NOT_SERVING if versions.default in self._service.unready() else _SERVING


def _service_of(message: bytes) -> str:
    """The field `service` of a HealthCheckRequest; the last one counts. Raises `InvalidInput`."""
    name = ""
    try:
        for field in protobuf.length_delimited(message, 0, len(message)):
            if field.number == _SERVICE:
                name = message[field.start : field.end].decode()
    except ValueError as error:  # UnicodeDecodeError is one
        raise InvalidInput("message", got=f"no protobuf ({error})", expected="a HealthCheckRequest") from error
    return name
