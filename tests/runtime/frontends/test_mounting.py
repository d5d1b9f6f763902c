"""The first request for a protocol imports its module on a thread, and replaces the deferred handlers."""

import asyncio
import sys
import threading
from typing import Any

import pytest

from runtime.frontends.application import SCALEZERO
from runtime.frontends.catalogue import COMMON
from runtime.frontends.endpoints import Endpoints
from runtime.frontends.mounting import Deferred, context, mount
from runtime.frontends.protocol import Grpc, Path, Protocol, Rest
from runtime.frontends.routes import Routes
from runtime.http.messages import Answer, Request
from runtime.service import Service
from runtime.settings import Settings

MODULE = "tests.runtime.frontends.late_protocol"
LATE = Protocol(
    "late",
    Rest(
        MODULE,
        ("/late",),
        (Path("GET", "/late/a", "one"), Path("GET", "/late/b", "one")),
        generic=(Path("GET", "/", "one"),),
        generic_prefixes=("/wide",),
    ),
    (Grpc(MODULE, "late.Service", ("Other",)),),
)


class Edge:
    """An edge that the handlers of these tests never call."""

    def reply(self, exchange: object, answer: Answer) -> None:
        """Not called."""

    def answer_error(self, error: Exception, _: Request) -> Answer:
        """Not called."""
        raise error

    def complete(self, request: Request, answer: Answer) -> None:
        """Not called."""


def table(*, generic: bool = True) -> Routes:
    sys.modules.pop(MODULE, None)
    service = Service(Settings(), process_started=0.0)
    endpoints = Endpoints(service, None)
    arguments = context([LATE], service=service, edge=Edge(), endpoints=endpoints)
    return mount([LATE], builtin=[], default=SCALEZERO, context=arguments, generic=lambda _: generic)


def get(path: str, kind: bytes = b"", version: str = "1.1") -> Request:
    return Request("GET", path, path.encode(), b"", [(b"content-type", kind)] if kind else [], version)


def handler_of(routes: Routes, path: str) -> Any:  # noqa: ANN401 - as `Route.handler`
    match = routes.match(path)
    assert match
    return match.route("GET", path).handler


def test_the_first_request_imports_the_module_on_a_thread_and_replaces_all_its_handlers() -> None:
    routes = table()
    first = handler_of(routes, "/late/a")
    assert MODULE not in sys.modules
    assert not first.direct(None)
    answer = asyncio.run(first.answer(get("/late/a")))
    module = sys.modules[MODULE]
    assert answer.body == b"/late/a"
    assert module.IMPORTED_ON is not threading.current_thread()
    handlers = [handler_of(routes, path) for path in ("/late/a", "/late/b", "/")]
    assert not any(isinstance(handler, Deferred) for handler in handlers)
    call = Request("POST", "/late.Service/Other", b"", b"", [(b"content-type", b"application/grpc")], "2")
    route = routes.by_content(call)
    assert route
    assert asyncio.run(route.handler.answer(call)).body == b"/late.Service/Other"
    common = tuple(each.service for each in COMMON)
    assert [context.grpc_services for context in module.MADE] == [(*common, "late.Service")]


def test_requests_during_the_import_share_its_handlers() -> None:
    routes = table()

    async def scenario() -> list[Answer]:
        deferred = [handler_of(routes, path) for path in ("/late/a", "/late/b")]
        answers: list[Answer] = await asyncio.gather(*(each.answer(get("/x")) for each in deferred))
        return answers

    assert [answer.body for answer in asyncio.run(scenario())] == [b"/x", b"/x"]
    assert len(sys.modules[MODULE].MADE) == 1


@pytest.mark.parametrize("generic", [True, False])
def test_generic_paths_are_mounted_if_requested(generic: bool) -> None:  # noqa: FBT001
    assert (table(generic=generic).match("/") is not None) is generic


def test_a_refusal_does_not_import_the_module() -> None:
    routes = table()
    for request in (get("/late/unknown"), get("/late.Service/Other", b"application/grpc", "2")):
        assert routes.owner(request).name in {"late", "grpc"}
    assert MODULE not in sys.modules


def test_a_protocol_owns_its_generic_prefix_if_its_generic_paths_are_mounted() -> None:
    assert table(generic=True).owner(get("/wide/any")).name == "late"
    assert table(generic=False).owner(get("/wide/any")) is SCALEZERO
    assert table(generic=False).owner(get("/late/any")).name == "late"
