"""Every gRPC method by its path, and which requests are gRPC calls."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from runtime.errors import Http2Required, MethodNotAllowed, UnknownMethod, UnsupportedContentType
from runtime.frontends.grpc.batch import Batch
from runtime.frontends.grpc.health import Health
from runtime.frontends.grpc.unary import Endpoint, Inferred
from runtime.frontends.routes import ContentRoute, Owner, Route
from runtime.http.messages import Answer, Request
from runtime.protocols import ml_v1
from runtime.protocols.grpc_errors import grpc_error_answer
from runtime.protocols.refusals import error_answer

if TYPE_CHECKING:
    from runtime.frontends.inference import Edge
    from runtime.http.exchange import Exchange
    from runtime.service import Service

HEALTH: Final = "grpc.health.v1.Health"
SERVICES: Final = (HEALTH, ml_v1.SERVICE)
CONTENT_TYPES: Final = (b"application/grpc", b"application/grpc+proto")
GRPC: Final = Owner("grpc", (), grpc_error_answer)  # of gRPC calls, wherever their paths lead
PATHS: Final = Owner("grpc", tuple(f"/{name}" for name in SERVICES), error_answer)  # and of what else comes there


def content_routes(service: "Service", edge: "Edge", ready: Callable[[], bool]) -> list[ContentRoute]:
    """Where gRPC calls go, over HTTP/2 and over what cannot carry them; `ready` says whether traffic may come."""
    health = Health(service, SERVICES, ready)
    methods = {
        f"/{HEALTH}/Check": Endpoint(health.check, edge, service.settings.max_body_bytes),
        f"/{ml_v1.SERVICE}/Predict": Inferred(service, ml_v1.Predict(), edge),
        f"/{ml_v1.SERVICE}/BatchPredict": Batch(service, ml_v1.BatchPredict()),
    }
    old = _Refusing(lambda request: Http2Required(request.version))
    return [
        ContentRoute(CONTENT_TYPES, frozenset({"2"}), GRPC, Methods(methods)),
        ContentRoute(CONTENT_TYPES, frozenset({"1.0", "1.1"}), PATHS, old),
    ]


def routes() -> list[Route]:
    """The paths of the services, for requests that are no gRPC calls: they are refused."""
    other = _Refusing(lambda request: UnsupportedContentType(request.header(b"content-type"), CONTENT_TYPES))
    return [Route(f"/{name}/{{method}}", "POST", PATHS, other) for name in SERVICES]


class Methods:
    """The handler of all gRPC calls."""

    def __init__(self, methods: Mapping[str, Any]) -> None:
        """`methods` are handlers by path."""
        self._methods = methods

    def admit(self, request: Request) -> None:
        """Refuse, before its body comes, a call that no method answers: a stream may wait for its answer first."""
        self._handler(request)

    def direct(self, exchange: "Exchange") -> bool:
        """Answer without a task where the method can. Raises `ScalezeroError`."""
        answered: bool = self._handler(exchange.request).direct(exchange)
        return answered

    async def answer(self, request: Request) -> Answer:
        """Answer in a coroutine. Raises `ScalezeroError`."""
        answer: Answer = await self._handler(request).answer(request)
        return answer

    def _handler(self, request: Request) -> Any:  # noqa: ANN401 - as `Route.handler`
        handler = self._methods.get(request.path)
        if handler is None:
            raise UnknownMethod(request.path, list(self._methods))
        if request.method != "POST":
            raise MethodNotAllowed(request.method, request.path, ["POST"])
        return handler


class _Refusing:
    """The handler of requests that cannot be answered, with the fault that says why."""

    def __init__(self, fault: Callable[[Request], Exception]) -> None:
        self._fault = fault

    def admit(self, request: Request) -> None:
        """Refuse."""
        raise self._fault(request)

    def direct(self, exchange: "Exchange") -> bool:
        """Refuse."""
        raise self._fault(exchange.request)

    async def answer(self, request: Request) -> Answer:
        """Refuse."""
        raise self._fault(request)
