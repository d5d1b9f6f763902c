"""The operations of TorchServe's management API over REST. Each requires a key."""

import asyncio
from typing import TYPE_CHECKING, Any

from runtime.frontends.torchserve.guarding import AUTHORIZATION, TorchServe, require_torchserve
from runtime.frontends.torchserve.operation import Operation, Subject
from runtime.http.messages import JSON, Answer, Request
from runtime.protocols.torchserve import management
from runtime.protocols.torchserve.faults import headers
from runtime.protocols.torchserve.keys import Kind

if TYPE_CHECKING:
    from runtime.frontends.endpoints import Endpoints
    from runtime.frontends.mounting import Context
    from runtime.frontends.torchserve.registry import Registry

_ACCEPTED = 202
_JSON = b"application/json"


def handlers(context: "Context") -> dict[str, Any]:
    """Return the handlers by their keys in the catalogue."""
    api = _Management(context.torchserve, context.endpoints)
    operations = {
        "list": api.list,
        "describe": api.describe,
        "register": api.register,
        "scale": api.scale,
        "set_default": api.set_default,
        "unregister": api.unregister,
        "openapi": api.openapi,
        "model_openapi": api.model_openapi,
    }
    handlers = {name: Operation(run, context, key=Kind.MANAGEMENT) for name, run in operations.items()}
    return {**handlers, "token": Operation(api.token, context, key=None)}


class _Management:
    """The operations, which call the registry."""

    def __init__(self, torchserve: TorchServe | None, endpoints: "Endpoints") -> None:
        self._torchserve = torchserve
        self._endpoints = endpoints

    @property
    def _registry(self) -> "Registry":
        return require_torchserve(self._torchserve).registry

    async def list(self, request: Request, _: Subject) -> Answer:
        """Answer `GET /models`."""
        limit, first = management.page(management.query(request.query))
        return _answer(self._registry.list(limit, first))

    async def describe(self, request: Request, subject: Subject) -> Answer:
        """Answer `GET /models/{model}[/{version}]`."""
        subject.model, subject.version = _model(request)
        return _answer(self._registry.describe(subject.model, subject.version))

    async def register(self, request: Request, subject: Subject) -> Answer:
        """Answer `POST /models`."""
        content_type = (request.header(b"content-type") or b"").partition(b";")[0].strip().lower()
        if content_type == _JSON:
            registration = management.registration_of_json(request.body)
        else:
            registration = management.registration(management.query(request.query))
        subject.model = registration.model_name
        registered = await self._registry.register(registration)
        subject.model, subject.version = registered.model, registered.version
        if registration.initial_workers and not registration.synchronous:
            return _answer(management.status(management.PROCESSING), _ACCEPTED)
        return _answer(management.status(registered.text))

    async def scale(self, request: Request, subject: Subject) -> Answer:
        """Answer `PUT /models/{model}[/{version}]`."""
        model, version = subject.model, subject.version = _model(request)
        scaling = management.scaling(management.query(request.query))
        text = await self._registry.scale(model, version or scaling.version, scaling)
        if text is None:
            return _answer(management.status(management.PROCESSING), _ACCEPTED)
        return _answer(management.status(text))

    async def set_default(self, request: Request, subject: Subject) -> Answer:
        """Answer `PUT /models/{model}/{version}/set-default`."""
        model, version = subject.model, subject.version = _model(request)
        return _answer(management.status(self._registry.set_default(model, version or "")))

    async def unregister(self, request: Request, subject: Subject) -> Answer:
        """Answer `DELETE /models/{model}[/{version}]`."""
        subject.model, subject.version = _model(request)
        text = await self._registry.unregister(subject.model, subject.version)
        return _answer(management.status(text))

    async def model_openapi(self, request: Request, subject: Subject) -> Answer:
        """Answer `OPTIONS /models/{model}[/{version}]` with the OpenAPI document. Raises `UnknownModel`."""
        subject.model, subject.version = _model(request)
        self._registry.describe(subject.model, subject.version)
        return await self.openapi(request, subject)

    async def openapi(self, request: Request, _: Subject) -> Answer:
        """Answer `OPTIONS /` with the OpenAPI document."""
        answer = await self._endpoints.openapi(request)
        answer.headers += headers()
        return answer

    async def token(self, request: Request, _: Subject) -> Answer:
        """Answer `GET /token?type=management|inference`: write a new key to the key file. The response is empty."""
        kind = management.query(request.query).get("type")
        tokens = require_torchserve(self._torchserve).tokens
        await asyncio.to_thread(tokens.renew, kind, request.header(AUTHORIZATION))
        return _answer(b"")


def _model(request: Request) -> tuple[str, str | None]:
    """Return the model and the version in the path; None: no version."""
    return request.parameters["model"], request.parameters.get("version")


def _answer(body: bytes, status: int = 200) -> Answer:
    return Answer(status, body, [JSON, *headers()])
