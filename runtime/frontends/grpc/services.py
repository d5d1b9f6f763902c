"""All gRPC methods by path, and the routes of gRPC calls."""

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
_GRPC: Final = Owner(NAME, (), grpc_error_answer)  # of gRPC calls, whatever their paths


def content_routes(methods: "Methods", owners: Mapping[str, Owner]) -> list[ContentRoute]:
    """Return the routes of gRPC calls over HTTP/2, and over HTTP/1, which refuses them.

    `owners` are the owners of the services, by path.
    """
    http1 = _RefusingHandler(lambda request: Http2Required(request.version))
    return [
        ContentRoute(CONTENT_TYPES, frozenset({"2"}), _GRPC, methods, owners),
        ContentRoute(CONTENT_TYPES, frozenset({"1.0", "1.1"}), _path_owner(owners), http1),
    ]


def routes(owners: Mapping[str, Owner]) -> list[Route]:
    """Return the routes that refuse other requests, which are not gRPC calls, to the paths of the services."""
    other = _RefusingHandler(lambda request: UnsupportedContentType(request.header(b"content-type"), CONTENT_TYPES))
    owner = _path_owner(owners)
    return [Route(f"{path}/{{method}}", "POST", owner, other) for path in owners]


def _path_owner(owners: Mapping[str, Owner]) -> Owner:
    """Return the owner of requests to the services' paths that are not gRPC calls."""
    return Owner(NAME, tuple(owners), error_answer)


class Methods:
    """The handler of all gRPC calls."""

    def __init__(self, methods: Mapping[str, Any], streams: Collection[str]) -> None:
        """`methods` are handlers by path; `streams` are the paths of the streaming methods."""
        self._methods = dict(methods)
        self._streams = frozenset(streams)

    def replace(self, handlers: Mapping[Any, Any]) -> None:
        """Replace handlers; `handlers` maps the old ones to the new ones."""
        for path, handler in self._methods.items():
            if handler in handlers:
                self._methods[path] = handlers[handler]

    def admit(self, request: Request) -> bool:
        """Refuse a call to an unknown method before its body arrives. Return whether the call is a stream.

        A client may wait for the response before it sends its stream. Raises `UnknownMethod` and `MethodNotAllowed`.
        """
        self._handler(request)
        return request.path in self._streams

    def direct(self, exchange: "Exchange") -> bool:
        """Answer without a task, and return whether that is possible. Raises `ScalezeroError`."""
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


class _RefusingHandler:
    """The handler of requests that are always refused."""

    def __init__(self, fault: Callable[[Request], Exception]) -> None:
        """`fault` returns the error for a request."""
        self._fault = fault

    def admit(self, request: Request) -> bool:
        """Raise the error."""
        raise self._fault(request)

    def direct(self, exchange: "Exchange") -> bool:
        """Raise the error."""
        raise self._fault(exchange.request)

    async def answer(self, request: Request) -> Answer:
        """Raise the error."""
        raise self._fault(request)
