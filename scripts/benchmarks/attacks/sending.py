"""Send bodies over HTTP/1.1, one after the other, and read each answer to its end."""

import socket
from collections import Counter
from contextlib import suppress
from typing import Final

from scripts.benchmarks.attacks.aim import Aim, Clock, Outcome, Prepare, Run
from scripts.benchmarks.attacks.bodies import BODIES
from scripts.benchmarks.attacks.protocols import Hostile

TIMES: Final = 3  # memory that the first leaves behind may make the next one worse
PIECE: Final = 65536


def body(name: str) -> Prepare:
    """The attack that sends one kind of body, as large as the server allows."""

    def prepare(aim: Aim) -> Run:
        made = BODIES[name](aim.width, aim.limit)
        request = aim.post_head(len(made.data), encoding=made.encoding) + made.data
        return lambda: _statuses(aim, request)

    return prepare


def request(hostile: Hostile) -> Prepare:
    """The attack that sends the body of another protocol, over HTTP/1.1."""

    def prepare(aim: Aim) -> Run:
        content = hostile.body(aim.limit)
        head = aim.post_head(len(content), path=aim.at(hostile.path), kind=hostile.content_type)
        return lambda: _statuses(aim, head + content)

    return prepare


def _statuses(aim: Aim, request: bytes) -> Outcome:
    clock = Clock(aim.seconds)
    outcome: Outcome = Counter()
    for _ in range(TIMES):
        if clock.runs():
            outcome[status_of(aim, request)] += 1
    return outcome


def status_of(aim: Aim, request: bytes) -> str:
    """Send one request; return the status of its answer, or why there was none."""
    try:
        with aim.connect() as connection:
            # A server may answer before it has read all; the answer may still be there.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(request)
            return drained(connection).partition(b"\r\n")[0].partition(b" ")[2].decode(errors="replace") or "closed"
    except TimeoutError:
        return "no answer in time"
    except OSError as error:
        return type(error).__name__


def drained(connection: socket.socket) -> bytes:
    """The first piece of an answer; the rest is read and dropped. Raises OSError where it breaks off."""
    first = piece = connection.recv(PIECE)
    while piece:
        piece = connection.recv(PIECE)
    return first
