"""Every gRPC method by its path, and which requests are gRPC calls."""

from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any, Final

from runtime.errors import Http2Required, MethodNotAllowed, UnknownMethod, UnsupportedContentType
from runtime.frontends.routes import ContentRoute, Owner, Route
from runtime.http.messages import Answer, Request
from runtime.protocols.grpc_errors import grpc_error_answer
from runtime.protocols.refusals import error_answer

if TYPE_CHECKING:
    from runtime.http.exchange import Exchange

NAME: Final = "grpc"
CONTENT_TYPES: Final = (b"application/grpc", b"application/grpc+proto")
_GRPC: Final = Owner(NAME, (), grpc_error_answer)  # of gRPC calls, wherever their paths lead


def content_routes(methods: "Methods", owners: Mapping[str, Owner]) -> list[ContentRoute]:
    """Where gRPC calls go, over HTTP/2 and over what cannot carry them; `owners`: of the services, by their paths."""
    old = _Refusing(lambda request: Http2Required(request.version))
    return [
        ContentRoute(CONTENT_TYPES, frozenset({"2"}), _GRPC, methods, owners),
        ContentRoute(CONTENT_TYPES, frozenset({"1.0", "1.1"}), _paths(owners), old),
    ]


def routes(owners: Mapping[str, Owner]) -> list[Route]:
    """The paths of the services, for requests that are no gRPC calls: they are refused."""
    other = _Refusing(lambda request: UnsupportedContentType(request.header(b"content-type"), CONTENT_TYPES))
    paths = _paths(owners)
    return [Route(f"{path}/{{method}}", "POST", paths, other) for path in owners]


def _paths(owners: Mapping[str, Owner]) -> Owner:
    """The owner of what comes to the services' paths without being a gRPC call."""
    return Owner(NAME, tuple(owners), error_answer)


class Methods:
    """The handler of all gRPC calls."""

    def __init__(self, methods: Mapping[str, Any], streams: Collection[str]) -> None:
        """`methods` are handlers by path; `streams` are the paths of those that take a body while it comes in."""
        self._methods = dict(methods)
        self._streams = frozenset(streams)

    def replace(self, handlers: Mapping[Any, Any]) -> None:
        """Put other handlers in the place of those that are there; `handlers` maps the old ones to the new ones."""
        for path, handler in self._methods.items():
            if handler in handlers:
                self._methods[path] = handlers[handler]

    def admit(self, request: Request) -> bool:
        """Refuse, before its body comes, a call that no method answers: a stream may wait for its answer first.

        True: the call is a stream.
        """
        self._handler(request)
        return request.path in self._streams

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

    def admit(self, request: Request) -> bool:
        """Refuse."""
        raise self._fault(request)

    def direct(self, exchange: "Exchange") -> bool:
        """Refuse."""
        raise self._fault(exchange.request)

    async def answer(self, request: Request) -> Answer:
        """Refuse."""
        raise self._fault(request)
