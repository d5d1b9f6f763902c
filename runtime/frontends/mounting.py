"""Makes routes of what the catalogue describes. A module is imported when a request first needs it.

    catalogue -> a Deferred in each route and method -> the first request: import on a thread -> the real handlers

The first request of a module takes the coroutine of its `Deferred`, so the import does not stop the event loop. Then
the real handlers stand in the tables, and later requests pay nothing for the delay.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

from runtime.configuration.listeners import Listener
from runtime.errors import ScalezeroError
from runtime.frontends import catalogue
from runtime.frontends.grpc import services
from runtime.frontends.protocol import Grpc, Path, Protocol, Rest, left_to
from runtime.frontends.routes import Owner, Route, Routes
from runtime.http.messages import Answer, Request

if TYPE_CHECKING:
    from runtime.frontends.endpoints import Endpoints
    from runtime.frontends.inference import Edge
    from runtime.frontends.torchserve.guarding import TorchServe
    from runtime.http.exchange import Exchange
    from runtime.service import Service


class Context(NamedTuple):
    """What a protocol's module makes its handlers of."""

    service: "Service"
    edge: "Edge"
    endpoints: "Endpoints"
    protocols: frozenset[str]  # that are mounted on the port
    grpc_services: tuple[str, ...]  # likewise, by their full names
    listener: Listener | None = None  # the port, where it is for these protocols alone; None: the main port
    torchserve: "TorchServe | None" = None  # the keys and the registry of its clients; None: they are not served


def context(
    protocols: Sequence[Protocol],
    *,
    service: "Service",
    edge: "Edge",
    endpoints: "Endpoints",
    listener: Listener | None = None,
    torchserve: "TorchServe | None" = None,
) -> Context:
    """The context of these protocols on one port."""
    names = frozenset(protocol.name for protocol in protocols)
    services = tuple(each.service for each in catalogue.grpc_services(protocols))
    return Context(service, edge, endpoints, names, services, listener, torchserve)


def owner_of_port(protocols: Sequence[Protocol]) -> Owner | None:
    """Who answers unknown paths of a port that serves these protocols alone; None: none of them does."""
    rests = ((each.name, each.rest) for each in protocols if each.rest and each.rest.owns_port)
    return next((_owner(name, rest, widely=True) for name, rest in rests), None)


def _owner(name: str, rest: Rest, *, widely: bool) -> Owner:
    """The owner of a protocol's paths; `widely`: of its generic ones too."""
    prefixes = (*rest.prefixes, *rest.generic_prefixes) if widely else rest.prefixes
    return Owner(rest.part_of or name, prefixes, _Refusal(rest.refuse), any_case=rest.any_case)


def mount(
    protocols: Sequence[Protocol],
    *,
    ours: Sequence[Route],
    default: Owner,
    context: Context,
    generic: Callable[[str], bool],
) -> Routes:
    """The table of `ours`, which are there already, and of these protocols.

    `generic` says of a protocol's name whether its generic paths are mounted. Raises `ValueError` where routes overlap.
    """
    grpc = catalogue.grpc_services(protocols)
    modules = _Modules(context)
    own, more = list(ours), []
    for protocol in protocols:
        rest = protocol.rest
        if rest is None:
            continue
        widely = generic(protocol.name)
        owner = _owner(protocol.name, rest, widely=widely)
        own += modules.routes(rest.module, owner, left_to(protocol, rest.paths, protocols))
        if widely:
            more += modules.routes(rest.module, owner, left_to(protocol, rest.generic, protocols))
    streams = [f"/{each.service}/{name}" for each in grpc for name in each.streams]
    methods = services.Methods(modules.methods(grpc), streams)
    owners = {f"/{each.service}": Owner(services.NAME, (), _Refusal(each.refuse)) for each in grpc}
    routes = Routes(
        [*own, *services.routes(owners)],
        default=default,
        by_content=services.content_routes(methods, owners),
        generic=more,
    )
    modules.tables = (routes, methods)
    return routes


class _Modules:
    """The modules of one listener, and the tables that they fill once they are imported."""

    tables: "tuple[Routes, services.Methods]"

    def __init__(self, context: Context) -> None:
        self.context = context
        self._modules: dict[str, _Module] = {}

    def routes(self, module: str, owner: Owner, paths: Sequence[Path]) -> list[Route]:
        """The routes, each with a deferred handler."""
        return [Route(each.pattern, each.method, owner, self._handler(module, each.handler)) for each in paths]

    def methods(self, grpc: Sequence[Grpc]) -> dict[str, Any]:
        """The deferred handlers by the path of their methods."""
        whole = {
            f"/{each.service}/{method}": self._handler(each.module, method) for each in grpc for method in each.methods
        }
        streams = {
            f"/{each.service}/{method}": self._handler(each.module, method, DeferredStream)
            for each in grpc
            for method in each.streams
        }
        return {**whole, **streams}

    def settle(self, handlers: Mapping[Any, Any]) -> None:
        """Put real handlers in the place of deferred ones."""
        for table in self.tables:
            table.replace(handlers)

    def _handler(self, module: str, key: str, kind: "type[Deferred] | None" = None) -> "Deferred":
        if module not in self._modules:
            self._modules[module] = _Module(module, self)
        return self._modules[module].deferred(key, kind or Deferred)


class _Module:
    """One module, imported when a request first needs it."""

    def __init__(self, name: str, modules: _Modules) -> None:
        self._name = name
        self._modules = modules
        self._deferred: list[Deferred] = []
        self._handlers: Mapping[str, Any] | None = None

    def deferred(self, key: str, kind: "type[Deferred]") -> "Deferred":
        """What stands in a table for the handler of that key."""
        deferred = kind(self, key)
        self._deferred.append(deferred)
        return deferred

    async def load(self) -> Mapping[str, Any]:
        """The handlers by their keys."""
        if self._handlers is None:
            module = await asyncio.to_thread(import_module, self._name)
            if self._handlers is None:  # several requests may have waited for the import
                handlers = self._handlers = module.handlers(self._modules.context)
                self._modules.settle({deferred: handlers[deferred.key] for deferred in self._deferred})
        return self._handlers


class Deferred:
    """Stands for a handler until its module is imported."""

    def __init__(self, module: _Module, key: str) -> None:
        self.module = module
        self.key = key

    def direct(self, _: "Exchange") -> bool:
        """Leave it to `answer`, which can wait."""
        return False

    async def answer(self, request: Request) -> Answer:
        """Import the module, and let the real handler answer. Raises `ScalezeroError`."""
        handler = (await self.module.load())[self.key]
        answer: Answer = await handler.answer(request)
        return answer


class DeferredStream(Deferred):
    """Stands for the handler of a stream."""

    def direct(self, exchange: "Exchange") -> bool:
        """Start the task that imports the module and lets the real handler start its own."""
        exchange.work(partial(self._begin, exchange))
        return True

    async def _begin(self, exchange: "Exchange") -> None:
        handler = (await self.module.load())[self.key]
        handler.direct(exchange)


class _Refusal:
    """An owner's `refuse`, imported at the first refusal."""

    def __init__(self, place: str) -> None:
        self._place = place
        self._refuse: Callable[[ScalezeroError], Answer] | None = None

    def __call__(self, fault: ScalezeroError) -> Answer:
        if self._refuse is None:
            module, _, name = self._place.partition(":")
            self._refuse = getattr(import_module(module), name)
        return self._refuse(fault)
