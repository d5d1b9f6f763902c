"""The routes of TorchServe's management API over REST; every one of them asks for a key."""

import asyncio
from typing import TYPE_CHECKING, Any

from runtime.frontends.endpoints import Slow
from runtime.frontends.torchserve.guarding import Guarded, TorchServe, opened
from runtime.http.messages import JSON, Answer, Request
from runtime.protocols.torchserve import management
from runtime.protocols.torchserve.faults import headers
from runtime.protocols.torchserve.keys import Kind

if TYPE_CHECKING:
    from runtime.frontends.mounting import Context
    from runtime.frontends.torchserve.registry import Registry

_ACCEPTED = 202
_JSON = b"application/json"


def handlers(context: "Context") -> dict[str, Any]:
    """The handlers by their keys in the catalogue."""
    torchserve = context.torchserve
    api = _Management(torchserve)
    keyed = {
        "list": api.list,
        "describe": api.describe,
        "register": api.register,
        "scale": api.scale,
        "set_default": api.set_default,
        "unregister": api.unregister,
    }
    guarded = {key: Guarded(Slow(endpoint), torchserve, Kind.MANAGEMENT) for key, endpoint in keyed.items()}
    return {**guarded, "token": Slow(api.token)}


class _Management:
    """Requests to the registry, and its answers."""

    def __init__(self, torchserve: TorchServe | None) -> None:
        self._torchserve = torchserve

    @property
    def _registry(self) -> "Registry":
        return opened(self._torchserve).registry

    async def list(self, request: Request) -> Answer:
        """`GET /models`."""
        limit, first = management.page(management.query(request.query))
        return _answer(self._registry.list(limit, first))

    async def describe(self, request: Request) -> Answer:
        """`GET /models/{model}[/{version}]`."""
        parameters = request.parameters
        return _answer(self._registry.describe(parameters["model"], parameters.get("version")))

    async def register(self, request: Request) -> Answer:
        """`POST /models`."""
        kind = (request.header(b"content-type") or b"").partition(b";")[0].strip().lower()
        if kind == _JSON:
            asked = management.registration_of_json(request.body)
        else:
            asked = management.registration(management.query(request.query))
        text = await self._registry.register(asked)
        if asked.initial_workers and not asked.synchronous:
            return _answer(management.status(management.PROCESSING), _ACCEPTED)
        return _answer(management.status(text))

    async def scale(self, request: Request) -> Answer:
        """`PUT /models/{model}[/{version}]`."""
        asked = management.scaling(management.query(request.query))
        parameters = request.parameters
        text = await self._registry.scale(parameters["model"], parameters.get("version") or asked.version, asked)
        if text is None:
            return _answer(management.status(management.PROCESSING), _ACCEPTED)
        return _answer(management.status(text))

    async def set_default(self, request: Request) -> Answer:
        """`PUT /models/{model}/{version}/set-default`."""
        parameters = request.parameters
        return _answer(management.status(self._registry.set_default(parameters["model"], parameters["version"])))

    async def unregister(self, request: Request) -> Answer:
        """`DELETE /models/{model}[/{version}]`."""
        parameters = request.parameters
        text = await self._registry.unregister(parameters["model"], parameters.get("version"))
        return _answer(management.status(text))

    async def token(self, request: Request) -> Answer:
        """`GET /token?type=management|inference`: another key in the file, and nothing in the answer."""
        kind = management.query(request.query).get("type")
        tokens = opened(self._torchserve).tokens
        await asyncio.to_thread(tokens.renew, kind, request.header(b"authorization"))
        return _answer(b"")


def _answer(body: bytes, status: int = 200) -> Answer:
    return Answer(status, body, [JSON, *headers()])
