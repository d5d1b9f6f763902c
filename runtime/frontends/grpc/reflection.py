"""grpc.reflection.v1 and v1alpha: what grpcurl and other generic clients ask for the services and their messages."""

import asyncio
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Final

from runtime.frontends.grpc.messages import Messages
from runtime.frontends.grpc.streams import StreamCall, Streaming

if TYPE_CHECKING:
    from runtime.frontends.mounting import Context
    from runtime.protocols.reflection import Descriptions

_LARGEST: Final = 4096  # bytes of a request, which holds a name or two


def handlers(context: "Context") -> dict[str, Streaming]:
    """The method of the service, the same for both versions."""
    method = Reflection(context.grpc_services)
    return {"ServerReflectionInfo": Streaming(method.info, context.edge, _LARGEST)}


class Reflection:
    """Describes these services."""

    def __init__(self, services: tuple[str, ...]) -> None:
        self._services = services
        self._descriptions: Descriptions | None = None

    async def info(self, messages: Messages, call: StreamCall) -> AsyncGenerator[bytes, None]:
        """One answer for each message. Raises `InvalidInput` for what is none."""
        descriptions = self._descriptions
        if descriptions is None:  # importing all messages takes some ten milliseconds
            descriptions = self._descriptions = await asyncio.to_thread(_describe, self._services)
        version = call.request.path.split(".")[2]
        sent: set[str] = set()
        async for message in messages:
            yield descriptions.answer(message, version=version, sent=sent)


def _describe(services: tuple[str, ...]) -> "Descriptions":
    from runtime.protocols.reflection import Descriptions

    return Descriptions(services)
