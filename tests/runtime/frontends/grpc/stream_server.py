"""A server of the tests' streaming methods, with the transport and the errors of the real application."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from runtime.errors import ScalezeroError
from runtime.frontends.application import Application
from runtime.frontends.grpc.streams import Streaming, StreamMethod
from runtime.http.exchange import Exchange
from runtime.http.limits import Limits
from runtime.http.messages import Answer, Request
from runtime.service import Service
from runtime.settings import Settings
from tests.runtime.http.asgi_server import LIMITS, Running

LIMIT = 100_000  # bytes of a message


class StreamServer(Running):
    """A server of methods below `/t.Test/`."""

    def __init__(self, methods: Mapping[str, StreamMethod], limits: Limits) -> None:
        super().__init__(limits)
        self.edge = Application(Service(Settings(model_uri="/m.onnx"), process_started=0.0))
        self.methods = {f"/t.Test/{name}": Streaming(each, self.edge, LIMIT) for name, each in methods.items()}

    def admit(self, request: Request) -> bool:
        return request.path in self.methods

    def begin(self, exchange: Exchange) -> None:
        if exchange.request.path in self.methods:
            self.methods[exchange.request.path].direct(exchange)
        else:
            super().begin(exchange)

    def refuse(self, fault: ScalezeroError, request: Request | None) -> Answer:
        self.faults.append(fault.code)
        return self.edge.refuse(fault, request)


@contextmanager
def streaming(methods: Mapping[str, StreamMethod], limits: Limits = LIMITS) -> Iterator[StreamServer]:
    """Run a server of these methods until the block ends."""
    server = StreamServer(methods, limits)
    server.start()
    try:
        yield server
    finally:
        server.stop()
