"""A real HTTP server that receives events, in threads of the test's process."""

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from runtime.protocols.cloudevents import Event, Mode, mode_of_type, read_batch, read_message
from tests.waiting import DEADLINE, eventually


class Reply:
    """What the sink does with a request: answers with a status, or closes the connection."""

    def __init__(self, status: int = 202, *, close: bool = False, chunked: bool = False, **headers: str) -> None:
        self.status = status  # 0: no response
        self.close = close
        self.chunked = chunked
        self.headers = headers


class EventSink:
    """The received events, and the behaviour of the server."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}/log?from=test"
        self.events: list[Event] = []  # of requests that were answered with 2xx
        self.requests: list[tuple[str, Mode | None, int]] = []  # path, mode and status of each
        self.reply: Callable[[int], Reply] = lambda _: Reply()  # by the number of the request, from 0
        self.gate = threading.Event()  # requests wait for it
        self.gate.set()
        self.connections = 0
        self.lock = threading.Lock()

    def wait_for(self, count: int) -> list[Event]:
        """Wait until that many events have arrived, and return all of them."""
        eventually(lambda: len(self.events) >= count)
        return self.events


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    sink: EventSink


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        super().setup()
        with self.server.sink.lock:
            self.server.sink.connections += 1

    def do_POST(self) -> None:
        sink = self.server.sink
        headers = [(name.lower().encode(), value.encode("latin-1")) for name, value in self.headers.items()]
        body = self.rfile.read(int(self.headers["content-length"]))
        mode = mode_of_type(self.headers["content-type"].encode())
        sink.gate.wait(DEADLINE)
        with sink.lock:
            reply = sink.reply(len(sink.requests))
            sink.requests.append((self.path, mode or Mode.BINARY, reply.status))
            if 200 <= reply.status < 300:
                sink.events += read_batch(body) if mode is Mode.BATCHED else [read_message(headers, body, mode)]
        if reply.status:
            self._answer(reply)
        self.close_connection = reply.close or not reply.status

    def _answer(self, reply: Reply) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header(*(("Transfer-Encoding", "chunked") if reply.chunked else ("Content-Length", "2")))
        self.end_headers()
        self.wfile.write(b"1\r\no\r\n1\r\nk\r\n0\r\n\r\n" if reply.chunked else b"ok")

    def log_message(self, *_: object) -> None:
        """Print nothing."""


@contextmanager
def event_sink(port: int = 0, *, tls: ssl.SSLContext | None = None) -> Iterator[EventSink]:
    """Run a sink until the block ends."""
    with _Server(("127.0.0.1", port), _Handler) as server:
        sink = server.sink = EventSink(server.server_address[1])
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
            sink.url = sink.url.replace("http:", "https:")
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield sink
        finally:
            sink.gate.set()
            server.shutdown()
            thread.join()


@contextmanager
def closed_port() -> Iterator[int]:
    """Yield a port on which nothing listens until the block ends, except a sink that the test starts on it."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(("127.0.0.1", 0))  # so that no other process gets the port
        yield held.getsockname()[1]
