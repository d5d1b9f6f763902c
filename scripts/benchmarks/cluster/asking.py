"""Ask a function by its URL: once, or over and over for a while, and keep what became of each request."""

import http.client
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from threading import Event, Lock
from typing import Final
from urllib.parse import urlsplit

from scripts.benchmarks.cluster.outcomes import Load

ANSWER_SECONDS: Final = 60.0  # a cold start on a busy machine takes a few
REVISION: Final = "x-revision"  # the header in which our functions name the revision that answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked; without a body it is a GET."""

    url: str
    body: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came of it; a failure says why."""

    seconds: float
    revision: str = ""
    failure: str | None = None


def ask(request: Request) -> Reply:
    """Ask over a new connection, as a new caller does."""
    place = urlsplit(request.url)
    start = time.perf_counter()
    try:
        with closing(http.client.HTTPConnection(place.netloc, timeout=ANSWER_SECONDS)) as connection:
            method = "GET" if request.body is None else "POST"
            connection.request(method, place.path or "/", request.body, {"content-type": "application/json"})
            response = connection.getresponse()
            text = response.read()
    except (OSError, http.client.HTTPException) as error:
        return Reply(seconds=time.perf_counter() - start, failure=repr(error))
    seconds = time.perf_counter() - start
    failure = None if response.status == http.HTTPStatus.OK else f"{response.status} {text[:200]!r}"
    return Reply(seconds=seconds, revision=response.getheader(REVISION, ""), failure=failure)


class Record:
    """What became of requests that many threads make."""

    def __init__(self) -> None:
        self._replies: list[Reply] = []
        self._lock = Lock()

    def add(self, reply: Reply) -> None:
        """Keep one."""
        with self._lock:
            self._replies.append(reply)

    def load(self) -> Load:
        """Sum up."""
        good = [each for each in self._replies if each.failure is None]
        return Load(
            seconds=[each.seconds for each in good],
            failures=[each.failure for each in self._replies if each.failure is not None],
            revisions=Counter(each.revision for each in good),
        )


def ask_times(request: Request, times: int, *, callers: int) -> Load:
    """Ask a number of times in all."""
    record = Record()
    with ThreadPoolExecutor(callers) as pool:
        for reply in pool.map(ask, [request] * times):
            record.add(reply)
    return record.load()


@contextmanager
def asking(request: Request, *, callers: int, pause: float) -> Iterator[Callable[[], Load]]:
    """Ask all the while, each caller with `pause` seconds between two requests; what is yielded sums up, at the end."""
    record, over = Record(), Event()

    def go_on() -> None:
        while not over.wait(pause):
            record.add(ask(request))

    with ThreadPoolExecutor(callers) as pool:
        running: list[Future[None]] = [pool.submit(go_on) for _ in range(callers)]
        try:
            yield record.load
        finally:
            over.set()
    for each in running:
        each.result()
