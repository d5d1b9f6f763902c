"""What no client can do over HTTP/2: lock out others, or hold memory and time beyond the limits."""

import random
import time
from collections.abc import Iterator
from contextlib import closing, suppress

import pytest

from tests.http.asgi_server import LIMITS, Running, eventually, running
from tests.http.h2_client import calling

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5)  # and SETTINGS without a value


@pytest.fixture(scope="module")
def hasty() -> Iterator[Running]:
    with running(LIMITS._replace(head=4096, body_time=0.3, body_rate=1e6, write_time=0.5)) as server:
        yield server


def test_a_head_beyond_the_limit_is_refused_on_its_stream(hasty: Running) -> None:
    with calling(hasty.port) as caller:
        assert caller.answer(caller.ask("/direct", cookies=["x" * 5000])).status == 431
        assert caller.answer(caller.ask("/direct")).body == b"direct"
        assert caller.goaway == []


def test_a_body_that_does_not_come_is_refused_on_its_stream(hasty: Running) -> None:
    with calling(hasty.port) as caller:
        assert caller.answer(caller.ask("/echo", b"x", end=False)).status == 408
        assert caller.answer(caller.ask("/direct")).body == b"direct"
    eventually(lambda: hasty.server.budget.used == 0)


def test_an_answer_that_nobody_reads_is_given_up_however_short(hasty: Running) -> None:
    with calling(hasty.port, window=0, credit=False) as caller:
        assert caller.answer(caller.ask("/direct")).reset is not None


@pytest.mark.parametrize("seed", range(20))
def test_random_frames_harm_nobody_else(hasty: Running, seed: int) -> None:
    chance = random.Random(seed)  # noqa: S311 - a reproducible sequence
    with closing(hasty.connect()) as connection, suppress(ConnectionError):
        connection.sendall(PREFACE)
        for _ in range(50):
            payload = chance.randbytes(chance.randrange(64))
            head = len(payload).to_bytes(3, "big") + bytes([chance.randrange(11), chance.randrange(64)])
            connection.sendall(head + chance.randrange(9).to_bytes(4, "big") + payload)
        time.sleep(0.01)
    assert hasty.alive()
    eventually(lambda: hasty.server.budget.used == 0)
