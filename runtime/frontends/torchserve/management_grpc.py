"""The methods of TorchServe's ManagementAPIsService; every one of them asks for a key in the call's metadata."""

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from runtime.errors import PayloadTooLarge
from runtime.frontends import content
from runtime.frontends.grpc import framing
from runtime.frontends.grpc.unary import compress
from runtime.frontends.torchserve.guarding import Guarded, TorchServe, opened
from runtime.http.messages import Answer, Request
from runtime.protocols.torchserve import management_grpc as messages
from runtime.protocols.torchserve.keys import Kind
from runtime.protocols.torchserve.management import LARGEST, PROCESSING

if TYPE_CHECKING:
    from runtime.frontends.mounting import Context
    from runtime.frontends.torchserve.registry import Registry
    from runtime.http.exchange import Exchange


def handlers(context: "Context") -> dict[str, Any]:
    """The handlers by the names of their methods."""
    torchserve = context.torchserve
    api = _Management(torchserve)
    methods = {
        "DescribeModel": api.describe,
        "ListModels": api.list,
        "RegisterModel": api.register,
        "ScaleWorker": api.scale,
        "SetDefault": api.set_default,
        "UnregisterModel": api.unregister,
    }
    return {name: Guarded(_Method(method), torchserve, Kind.MANAGEMENT) for name, method in methods.items()}


class _Method:
    """The handler of a method that may have to wait for something."""

    def __init__(self, method: Callable[[bytes], Awaitable[str]]) -> None:
        self._method = method

    def direct(self, _: "Exchange") -> bool:
        """Leave it to `answer`."""
        return False

    async def answer(self, request: Request) -> Answer:
        """Answer with a ManagementResponse. Raises `ScalezeroError`, and `PayloadTooLarge` beyond 64 KiB."""
        message = await content.in_turns(framing.inflated_message(request, LARGEST))
        if len(message) > LARGEST:
            raise PayloadTooLarge("message", limit=LARGEST, unit="bytes", got=len(message))
        return await compress(request, framing.answer(messages.response(await self._method(message))))


class _Management:
    """Messages to the registry, and what it says."""

    def __init__(self, torchserve: TorchServe | None) -> None:
        self._torchserve = torchserve

    @property
    def _registry(self) -> "Registry":
        return opened(self._torchserve).registry

    async def describe(self, message: bytes) -> str:
        asked = messages.describe(message)
        return self._registry.describe(asked.model, asked.version).decode()

    async def list(self, message: bytes) -> str:
        return self._registry.list(*messages.page(message)).decode()

    async def register(self, message: bytes) -> str:
        asked = messages.registration(message)
        text = await self._registry.register(asked)
        return PROCESSING if asked.initial_workers and not asked.synchronous else text

    async def scale(self, message: bytes) -> str:
        asked, workers = messages.scaling(message)
        return await self._registry.scale(asked.model, asked.version, workers) or PROCESSING

    async def set_default(self, message: bytes) -> str:
        asked = messages.set_default(message)
        return self._registry.set_default(asked.model, asked.version or "")

    async def unregister(self, message: bytes) -> str:
        asked = messages.unregister(message)
        return await self._registry.unregister(asked.model, asked.version)
