"""The methods of TorchServe's ManagementAPIsService. Each requires a key in the call's metadata."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from runtime.errors import ManagementTimedOut, PayloadTooLarge
from runtime.frontends import content
from runtime.frontends.grpc import framing
from runtime.frontends.grpc.unary import compress, deadline
from runtime.frontends.torchserve.guarding import TorchServe, require_torchserve
from runtime.frontends.torchserve.operation import Operation, Subject
from runtime.http.messages import Answer, Request
from runtime.protocols.torchserve import management_grpc as messages
from runtime.protocols.torchserve.keys import Kind
from runtime.protocols.torchserve.management import LARGEST, PROCESSING

if TYPE_CHECKING:
    from runtime.frontends.mounting import Context
    from runtime.frontends.torchserve.registry import Registry


def handlers(context: "Context") -> dict[str, Any]:
    """Return the handlers by the names of their methods."""
    api = _Management(context.torchserve)
    methods = {
        "DescribeModel": api.describe,
        "ListModels": api.list,
        "RegisterModel": api.register,
        "ScaleWorker": api.scale,
        "SetDefault": api.set_default,
        "UnregisterModel": api.unregister,
    }
    return {name: Operation(_Method(method).answer, context, key=Kind.MANAGEMENT) for name, method in methods.items()}


class _Method:
    """An operation over gRPC: adds the framing and the deadline to a method."""

    def __init__(self, method: Callable[[bytes, Subject], Awaitable[str]]) -> None:
        self._method = method

    async def answer(self, request: Request, subject: Subject) -> Answer:
        """Answer with a ManagementResponse.

        Raises `ScalezeroError`: `PayloadTooLarge` for more than 64 KiB, `ManagementTimedOut` after the call's deadline.
        """
        until = deadline(request)
        message = await content.run_slices(framing.inflated_message(request, LARGEST))
        if len(message) > LARGEST:
            raise PayloadTooLarge("message", limit=LARGEST, unit="bytes", got=len(message))
        method = partial(self._method, message, subject)
        text = await (method() if until == math.inf else _within(until, method, began=request.started))
        return await compress(request, framing.answer(messages.response(text)))


async def _within(until: float, method: Callable[[], Awaitable[str]], *, began: float) -> str:
    """Call the method until the deadline. An operation that has begun by then continues: see `Registry`.

    `until` and `began`, when the call arrived, are on the clock of `perf_counter`. Raises `ManagementTimedOut`.
    """
    left = until - perf_counter()
    if left <= 0:
        raise ManagementTimedOut(timeout=until - began, begun=False)
    try:
        async with asyncio.timeout(left) as time:
            return await method()
    except TimeoutError:
        if time.expired():
            raise ManagementTimedOut(timeout=until - began, begun=True) from None
        raise


class _Management:
    """The methods, which call the registry."""

    def __init__(self, torchserve: TorchServe | None) -> None:
        self._torchserve = torchserve

    @property
    def _registry(self) -> "Registry":
        return require_torchserve(self._torchserve).registry

    async def describe(self, message: bytes, subject: Subject) -> str:
        request = messages.describe(message)
        subject.model, subject.version = request
        return self._registry.describe(request.model, request.version).decode()

    async def list(self, message: bytes, _: Subject) -> str:
        return self._registry.list(*messages.page(message)).decode()

    async def register(self, message: bytes, subject: Subject) -> str:
        registration = messages.registration(message)
        subject.model = registration.model_name
        registered = await self._registry.register(registration)
        subject.model, subject.version = registered.model, registered.version
        return PROCESSING if registration.initial_workers and not registration.synchronous else registered.text

    async def scale(self, message: bytes, subject: Subject) -> str:
        request, scaling = messages.scaling(message)
        subject.model, subject.version = request
        return await self._registry.scale(request.model, request.version, scaling) or PROCESSING

    async def set_default(self, message: bytes, subject: Subject) -> str:
        request = messages.set_default(message)
        subject.model, subject.version = request
        return self._registry.set_default(request.model, request.version or "")

    async def unregister(self, message: bytes, subject: Subject) -> str:
        request = messages.unregister(message)
        subject.model, subject.version = request
        return await self._registry.unregister(request.model, request.version)
