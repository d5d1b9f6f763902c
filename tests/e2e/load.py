"""A bounded load of predictions: each answer counts for who gave it, each failure is kept, nothing is tried again."""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

PATH = "/api/v1/models/payment-model/predict"
BODY = {"inputs": [0.5] * 30}
HEADERS = {"content-type": "application/json"}
PATIENCE = 60.0  # seconds for one answer: a cold start on a busy machine is no failure


@dataclass(slots=True)
class Tally:
    """What came back."""

    answers: list[tuple[float, str]] = field(default_factory=list)  # when each was asked (monotonic), by which revision
    failures: list[tuple[float, str]] = field(default_factory=list)  # when, and what

    def by_revision(self) -> Counter[str]:
        """Count the answers."""
        return Counter(revision for _, revision in self.answers)

    def since(self, when: float) -> "Tally":
        """What was asked from then on."""
        return Tally(
            [each for each in self.answers if each[0] >= when], [each for each in self.failures if each[0] >= when]
        )


def rows(count: int) -> bytes:
    """A request for that many predictions at once."""
    return json.dumps({"inputs": [[0.5] * 30] * count}).encode()


def client(*, http2: bool = False, patience: float = PATIENCE) -> httpx.Client:
    """A client with one connection, and no proxy whatever the environment names."""
    return httpx.Client(http1=not http2, http2=http2, trust_env=False, timeout=patience, headers=HEADERS)


def ask(session: httpx.Client, url: str, tally: Tally, body: bytes) -> None:
    """Ask once and count what comes."""
    began = time.monotonic()
    try:
        response = session.post(url + PATH, content=body)
    except httpx.TransportError as error:
        tally.failures.append((began, f"{type(error).__name__}: {error}"))
        return
    if response.status_code == httpx.codes.OK:
        tally.answers.append((began, response.headers["x-revision"]))
    else:
        tally.failures.append((began, f"{response.status_code}: {response.text[:200]}"))


def asked(url: str, count: int, *, callers: int = 8, http2: bool = False, body: bytes | None = None) -> Tally:
    """Ask `count` times, `callers` at once."""
    tally = Tally()
    left = iter(range(count))
    sent = rows(1) if body is None else body

    def call() -> None:
        with client(http2=http2) as session:
            for _ in left:
                ask(session, url, tally, sent)

    for thread in _started(call, callers):
        thread.join()
    return tally


@contextmanager
def load(url: str, *, callers: int = 4, pause: float = 0.05, body: bytes | None = None) -> Iterator[Tally]:
    """Ask until the block ends, `callers` at once, each with a pause in seconds after each answer."""
    tally = Tally()
    over = threading.Event()
    sent = rows(1) if body is None else body

    def call() -> None:
        with client() as session:
            while not over.wait(pause):
                ask(session, url, tally, sent)

    threads = _started(call, callers)
    try:
        yield tally
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _started(call: Callable[[], None], callers: int) -> list[threading.Thread]:
    threads = [threading.Thread(target=call) for _ in range(callers)]
    for thread in threads:
        thread.start()
    return threads
