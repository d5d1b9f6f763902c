"""grpc.reflection.v1 and v1alpha, from which grpcurl and other generic clients read the services and their messages."""

import asyncio
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Final

from runtime.frontends.grpc.messages import Messages
from runtime.frontends.grpc.streams import StreamCall, Streaming

if TYPE_CHECKING:
    from runtime.frontends.mounting import Context
    from runtime.protocols.reflection import Descriptions

_MAX_BYTES: Final = 4096  # of a request, which has one or two names


def handlers(context: "Context") -> dict[str, Streaming]:
    """Return the handler of the service's only method; both versions have the same."""
    method = Reflection(context.grpc_services)
    return {"ServerReflectionInfo": Streaming(method.info, context.edge, _MAX_BYTES)}


class Reflection:
    """The method that describes the services."""

    def __init__(self, services: tuple[str, ...]) -> None:
        self._services = services
        self._descriptions: Descriptions | None = None

    async def info(self, messages: Messages, call: StreamCall) -> AsyncGenerator[bytes, None]:
        """Yield one response for each message. Raises `InvalidInput` for an invalid message."""
        descriptions = self._descriptions
        if descriptions is None:  # on a thread: the import of all messages takes about ten milliseconds
            descriptions = self._descriptions = await asyncio.to_thread(_describe, self._services)
        version = call.request.path.split(".")[2]
        sent: set[str] = set()
        async for message in messages:
            yield descriptions.answer(message, version=version, sent=sent)


def _describe(services: tuple[str, ...]) -> "Descriptions":
    from runtime.protocols.reflection import Descriptions

    return Descriptions(services)
