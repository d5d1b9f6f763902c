"""Sends bodies over HTTP/1.1, one after the other, and reads each answer to its end."""

import socket
from collections import Counter
from contextlib import suppress
from typing import Final

from scripts.benchmarks.attacks.aim import AttackTarget, Outcome, Prepare, Run, Timer
from scripts.benchmarks.attacks.bodies import BODIES
from scripts.benchmarks.attacks.protocols import HostileRequest

TIMES: Final = 3  # memory that is not freed after the first request may make the next one worse
PIECE: Final = 65536


def body(name: str) -> Prepare:
    """Return an attack that sends one kind of body, of the largest size that the server allows."""

    def prepare(target: AttackTarget) -> Run:
        made = BODIES[name](target.width, target.limit)
        request = target.post_head(len(made.data), encoding=made.encoding) + made.data
        return lambda: _statuses(target, request)

    return prepare


def request(hostile: HostileRequest) -> Prepare:
    """Return an attack that sends the body of another protocol over HTTP/1.1."""

    def prepare(target: AttackTarget) -> Run:
        content = hostile.body(target.limit)
        head = target.post_head(len(content), path=target.at(hostile.path), kind=hostile.content_type)
        return lambda: _statuses(target, head + content)

    return prepare


def _statuses(target: AttackTarget, request: bytes) -> Outcome:
    timer = Timer(target.seconds)
    outcome: Outcome = Counter()
    for _ in range(TIMES):
        if timer.is_running():
            outcome[send_and_read_status(target, request)] += 1
    return outcome


def send_and_read_status(target: AttackTarget, request: bytes) -> str:
    """Send one request; return the status of its answer, or the reason for no answer."""
    try:
        with target.connect() as connection:
            # A server may answer and close the connection before it has read the whole request.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.sendall(request)
            return read_answer(connection).partition(b"\r\n")[0].partition(b" ")[2].decode(errors="replace") or "closed"
    except TimeoutError:
        return "no answer in time"
    except OSError as error:
        return type(error).__name__


def read_answer(connection: socket.socket) -> bytes:
    """Read an answer to its end; return its first piece. Raises OSError if the connection breaks."""
    first = piece = connection.recv(PIECE)
    while piece:
        piece = connection.recv(PIECE)
    return first
