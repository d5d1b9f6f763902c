"""A load of predict requests. It counts the answers by revision and keeps each failure, without retries."""

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
ANSWER_TIMEOUT = 120.0  # seconds per answer, enough for a cold start on a busy machine


@dataclass(slots=True)
class Tally:
    """The results of requests. Times are in seconds of the monotonic clock."""

    answers: list[tuple[float, str]] = field(default_factory=list)  # time of the request, revision that answered
    failures: list[tuple[float, str]] = field(default_factory=list)  # time of the request, reason

    def by_revision(self) -> Counter[str]:
        """Count the answers by revision."""
        return Counter(revision for _, revision in self.answers)

    def since(self, when: float) -> "Tally":
        """Return the results of the requests since a time."""
        return Tally(
            [each for each in self.answers if each[0] >= when], [each for each in self.failures if each[0] >= when]
        )


def rows(count: int) -> bytes:
    """Return the body of a predict request with `count` rows."""
    return json.dumps({"inputs": [[0.5] * 30] * count}).encode()


def client(*, http2: bool = False, timeout: float = ANSWER_TIMEOUT) -> httpx.Client:
    """Return a client that ignores the proxy variables of the environment."""
    return httpx.Client(http1=not http2, http2=http2, trust_env=False, timeout=timeout, headers=HEADERS)


def send(session: httpx.Client, url: str, tally: Tally, body: bytes) -> None:
    """Send one request and record its result."""
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


def send_requests(url: str, count: int, *, callers: int = 8, http2: bool = False, body: bytes | None = None) -> Tally:
    """Send `count` requests from `callers` concurrent callers."""
    tally = Tally()
    remaining = iter(range(count))
    content = rows(1) if body is None else body

    def call() -> None:
        with client(http2=http2) as session:
            for _ in remaining:
                send(session, url, tally, content)

    for thread in _started(call, callers):
        thread.join()
    return tally


@contextmanager
def load(url: str, *, callers: int = 4, pause: float = 0.05, body: bytes | None = None) -> Iterator[Tally]:
    """Send requests until the block ends. Each caller pauses `pause` seconds after each answer."""
    tally = Tally()
    stopped = threading.Event()
    content = rows(1) if body is None else body

    def call() -> None:
        with client() as session:
            while not stopped.wait(pause):
                send(session, url, tally, content)

    threads = _started(call, callers)
    try:
        yield tally
    finally:
        stopped.set()
        for thread in threads:
            thread.join()


def _started(call: Callable[[], None], callers: int) -> list[threading.Thread]:
    threads = [threading.Thread(target=call) for _ in range(callers)]
    for thread in threads:
        thread.start()
    return threads
