"""A client for HTTP/2, on hyper-h2. After GOAWAY it waits for the requests that it has sent, as RFC 9113 requires."""

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import h2.config
import h2.connection
import h2.events
import h2.settings
from h2.connection import ConnectionState

from tests.waiting import DEADLINE


@dataclass(slots=True)
class Answer:
    """The response to one request, as far as it has arrived."""

    status: int | None = None
    body: bytes = b""
    ended: bool = False
    reset: int | None = None  # the error code of RST_STREAM
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)


class Caller:
    """One connection. `credit`: whether to send WINDOW_UPDATE for the data that is read."""

    def __init__(self, port: int, *, window: int | None = None, credit: bool = True) -> None:
        """`window`: bytes that the server may send on a stream before WINDOW_UPDATE, instead of 65535."""
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding=None))
        if window is not None:
            self.h2.local_settings = h2.settings.Settings(
                client=True, initial_values={h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: window}
            )
        self.h2.initiate_connection()
        self.answers: dict[int, Answer] = {}
        self.credit = credit
        self.goaway: list[int] = []  # the last stream of each GOAWAY
        self.fault: int | None = None  # the first error code of a GOAWAY
        self.closed = False
        self.pending = b""  # an incomplete frame
        self.flush()

    def ask(
        self,
        path: str,
        body: bytes | None = None,
        *,
        end: bool = True,
        trailers: bool = False,
        method: str = "POST",
        cookies: Sequence[str] = (),
        fields: Sequence[tuple[str, str]] = (),
    ) -> int:
        """Send a request. Return its stream. Without `end`, more of its body follows."""
        stream = self.h2.get_next_available_stream_id()
        head = [(":method", method), (":path", path), (":scheme", "http"), (":authority", "x")]
        head += [*fields, *(("cookie", each) for each in cookies)]
        self.h2.send_headers(stream, head, end_stream=body is None)
        self.answers[stream] = Answer()
        if body is not None:
            self.send(stream, body, end=end and not trailers)
        if trailers:
            self.h2.send_headers(stream, [("x-checksum", "1")], end_stream=True)
        self.flush()
        return stream

    def send(self, stream: int, body: bytes, *, end: bool = True) -> None:
        """Send a body, as the server's windows allow."""
        while len(body) > (room := self.h2.local_flow_control_window(stream)):
            room = min(room, self.h2.max_outbound_frame_size)
            if room:
                self.h2.send_data(stream, body[:room])
                body = body[room:]
                self.flush()
            else:
                self.read()
        for start in range(0, max(len(body), 1), self.h2.max_outbound_frame_size):
            piece = body[start : start + self.h2.max_outbound_frame_size]
            self.h2.send_data(stream, piece, end_stream=end and start + len(piece) == len(body))
        self.flush()

    def reset(self, stream: int) -> None:
        """Cancel the request."""
        self.h2.reset_stream(stream, 8)
        self.answers[stream].ended = True
        self.flush()

    def answer(self, stream: int) -> Answer:
        """Wait for the complete response, and return it."""
        self.until(lambda: self.answers[stream].ended)
        return self.answers[stream]

    def until(self, true: Callable[[], bool]) -> None:
        """Read until the condition is true."""
        ends = time.monotonic() + DEADLINE
        while not true():
            assert time.monotonic() < ends, self.answers
            assert not self.closed, self.answers
            self.read()

    def flush(self) -> None:
        """Send what is queued."""
        data = self.h2.data_to_send()
        if data:
            self.socket.sendall(data)

    def read(self) -> None:
        """Read once, and handle the events."""
        try:
            data = self.socket.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            self.closed = True
            return
        for frame in _frames(self, data):
            for event in self.h2.receive_data(frame):
                self._take(event)
        self.flush()

    def _take(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.ConnectionTerminated():
                self.goaway.append(event.last_stream_id or 0)
                self.fault = self.fault or event.error_code or None
                # hyper-h2 would refuse everything after it.
                self.h2.state_machine.state = ConnectionState.CLIENT_OPEN
            case h2.events.ResponseReceived():
                self.answers[event.stream_id].headers = list(event.headers)
                self.answers[event.stream_id].status = int(dict(event.headers)[b":status"])
            case h2.events.DataReceived():
                self.answers[event.stream_id].body += event.data
                if self.credit and event.flow_controlled_length:
                    self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            case h2.events.TrailersReceived():
                self.answers[event.stream_id].trailers = list(event.headers)
            case h2.events.StreamEnded():
                self.answers[event.stream_id].ended = True
            case h2.events.StreamReset():
                self.answers[event.stream_id].ended = True
                self.answers[event.stream_id].reset = event.error_code


def _frames(caller: Caller, data: bytes) -> Iterator[bytes]:
    """Split the data into frames (RFC 9113, 4.1), so that each is handled in the state after the one before."""
    data = caller.pending + data
    while len(data) >= 9 and len(data) >= (whole := 9 + int.from_bytes(data[:3], "big")):
        yield data[:whole]
        data = data[whole:]
    caller.pending = data


@contextmanager
def calling(port: int, *, window: int | None = None, credit: bool = True) -> Iterator[Caller]:
    """Open a connection for the block."""
    caller = Caller(port, window=window, credit=credit)
    try:
        yield caller
    finally:
        caller.socket.close()
