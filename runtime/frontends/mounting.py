"""Creates the routes that the catalogue describes. A protocol's module is imported by the first request that needs it.

    catalogue -> a Deferred in each route and method -> the first request: import on a thread -> the real handlers

The first request for a module runs the coroutine of its `Deferred`, so that the import does not block the event loop.
The real handlers then replace the `Deferred` ones in the tables, and later requests have no extra cost.
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
from runtime.frontends.protocol import Grpc, Path, Protocol, Rest, served_paths
from runtime.frontends.routes import Owner, Route, Routes
from runtime.http.messages import Answer, Request

if TYPE_CHECKING:
    from runtime.frontends.endpoints import Endpoints
    from runtime.frontends.inference import Edge
    from runtime.frontends.torchserve.guarding import TorchServe
    from runtime.http.exchange import Exchange
    from runtime.service import Service


class Context(NamedTuple):
    """The arguments from which a protocol's module builds its handlers."""

    service: "Service"
    edge: "Edge"
    endpoints: "Endpoints"
    protocols: frozenset[str]  # the names of the protocols that are mounted on the port
    grpc_services: tuple[str, ...]  # the full names of the gRPC services that are mounted on the port
    listener: Listener | None = None  # the additional port that serves only these protocols; None: the main port
    torchserve: "TorchServe | None" = None  # TorchServe's keys and registry; None: neither is served


def context(
    protocols: Sequence[Protocol],
    *,
    service: "Service",
    edge: "Edge",
    endpoints: "Endpoints",
    listener: Listener | None = None,
    torchserve: "TorchServe | None" = None,
) -> Context:
    """Return the context of these protocols on one port."""
    names = frozenset(protocol.name for protocol in protocols)
    services = tuple(each.service for each in catalogue.grpc_services(protocols))
    return Context(service, edge, endpoints, names, services, listener, torchserve)


def port_owner(protocols: Sequence[Protocol]) -> Owner | None:
    """Return the owner of the unknown paths of a port that serves only these protocols; None: no protocol owns them."""
    rests = ((each.name, each.rest) for each in protocols if each.rest and each.rest.owns_port)
    return next((_owner(name, rest, include_generic=True) for name, rest in rests), None)


def _owner(name: str, rest: Rest, *, include_generic: bool) -> Owner:
    """Return the owner of a protocol's paths; `include_generic`: also of its generic paths."""
    prefixes = (*rest.prefixes, *rest.generic_prefixes) if include_generic else rest.prefixes
    return Owner(rest.part_of or name, prefixes, _DeferredRefusal(rest.refuse), ignore_case=rest.ignore_case)


def mount(
    protocols: Sequence[Protocol],
    *,
    builtin: Sequence[Route],
    default: Owner,
    context: Context,
    generic: Callable[[str], bool],
) -> Routes:
    """Return the route table of the `builtin` routes and of these protocols.

    `generic` returns whether the generic paths of a protocol, given by name, are mounted. Raises `ValueError` if routes
    overlap.
    """
    grpc = catalogue.grpc_services(protocols)
    modules = _Modules(context)
    routes, generic_routes, event_routes = list(builtin), [], []
    for protocol in protocols:
        rest = protocol.rest
        if rest is None:
            continue
        include_generic = generic(protocol.name)
        owner = _owner(protocol.name, rest, include_generic=include_generic)
        routes += modules.routes(rest.module, owner, served_paths(protocol, rest.paths, protocols))
        event_routes += modules.routes(rest.module, owner, rest.events)
        if include_generic:
            generic_routes += modules.routes(rest.module, owner, served_paths(protocol, rest.generic, protocols))
    streams = [f"/{each.service}/{name}" for each in grpc for name in each.streams]
    methods = services.Methods(modules.methods(grpc), streams)
    owners = {f"/{each.service}": Owner(services.NAME, (), _DeferredRefusal(each.refuse)) for each in grpc}
    table = Routes(
        [*routes, *services.routes(owners)],
        default=default,
        by_content=services.content_routes(methods, owners),
        generic=generic_routes,
        events=event_routes,
    )
    modules.tables = (table, methods)
    return table


class _Modules:
    """The modules of one listener, and the tables that get their handlers after the import."""

    tables: "tuple[Routes, services.Methods]"

    def __init__(self, context: Context) -> None:
        self.context = context
        self._modules: dict[str, _Module] = {}

    def routes(self, module: str, owner: Owner, paths: Sequence[Path]) -> list[Route]:
        """Return the routes, each with a deferred handler."""
        return [Route(each.pattern, each.method, owner, self._handler(module, each.handler)) for each in paths]

    def methods(self, grpc: Sequence[Grpc]) -> dict[str, Any]:
        """Return the deferred handlers by the path of their methods."""
        unary = {
            f"/{each.service}/{method}": self._handler(each.module, method) for each in grpc for method in each.methods
        }
        streams = {
            f"/{each.service}/{method}": self._handler(each.module, method, DeferredStream)
            for each in grpc
            for method in each.streams
        }
        return {**unary, **streams}

    def replace(self, handlers: Mapping[Any, Any]) -> None:
        """Replace deferred handlers by the real ones; `handlers` maps the deferred ones to the real ones."""
        for table in self.tables:
            table.replace(handlers)

    def _handler(self, module: str, key: str, kind: "type[Deferred] | None" = None) -> "Deferred":
        if module not in self._modules:
            self._modules[module] = _Module(module, self)
        return self._modules[module].deferred(key, kind or Deferred)


class _Module:
    """One module, imported by the first request that needs it."""

    def __init__(self, name: str, modules: _Modules) -> None:
        self._name = name
        self._modules = modules
        self._deferred: list[Deferred] = []
        self._handlers: Mapping[str, Any] | None = None

    def deferred(self, key: str, kind: "type[Deferred]") -> "Deferred":
        """Return the deferred handler for this key."""
        deferred = kind(self, key)
        self._deferred.append(deferred)
        return deferred

    async def load(self) -> Mapping[str, Any]:
        """Import the module once, and return its handlers by key."""
        if self._handlers is None:
            module = await asyncio.to_thread(import_module, self._name)
            if self._handlers is None:  # several requests may have waited for the import
                handlers = self._handlers = module.handlers(self._modules.context)
                self._modules.replace({deferred: handlers[deferred.key] for deferred in self._deferred})
        return self._handlers


class Deferred:
    """The placeholder of a handler until its module is imported."""

    def __init__(self, module: _Module, key: str) -> None:
        self.module = module
        self.key = key

    def admit(self, _: Request) -> bool:
        """Return False: the request is no stream."""
        return False

    def direct(self, _: "Exchange") -> bool:
        """Return False: only `answer` can wait for the import."""
        return False

    async def answer(self, request: Request) -> Answer:
        """Import the module and call the real handler. Raises `ScalezeroError`."""
        handler = (await self.module.load())[self.key]
        answer: Answer = await handler.answer(request)
        return answer


class DeferredStream(Deferred):
    """The placeholder of a stream's handler until its module is imported."""

    def direct(self, exchange: "Exchange") -> bool:
        """Start a task that imports the module and calls the real handler, which starts its own task."""
        exchange.run_handler(partial(self._begin, exchange))
        return True

    async def _begin(self, exchange: "Exchange") -> None:
        handler = (await self.module.load())[self.key]
        handler.direct(exchange)


class _DeferredRefusal:
    """An owner's `refuse` function, imported when it is first called."""

    def __init__(self, path: str) -> None:
        self._path = path  # "module:function"
        self._refuse: Callable[[ScalezeroError], Answer] | None = None

    def __call__(self, fault: ScalezeroError) -> Answer:
        if self._refuse is None:
            module, _, name = self._path.partition(":")
            self._refuse = getattr(import_module(module), name)
        return self._refuse(fault)
