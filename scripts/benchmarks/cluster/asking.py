"""Sends requests to the URL of a function, once or as a continuous load, and records the result of each."""

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

ANSWER_SECONDS: Final = 60.0  # a cold start on a busy machine takes several seconds
REVISION: Final = "x-revision"  # the response header with the revision that answered


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request: a POST, or a GET if it has no body."""

    url: str
    body: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The result of a request. `failure` has the reason if it failed."""

    seconds: float
    revision: str = ""
    failure: str | None = None


def send_request(request: Request) -> Reply:
    """Send a request over a new connection."""
    url = urlsplit(request.url)
    start = time.perf_counter()
    try:
        with closing(http.client.HTTPConnection(url.netloc, timeout=ANSWER_SECONDS)) as connection:
            method = "GET" if request.body is None else "POST"
            connection.request(method, url.path or "/", request.body, {"content-type": "application/json"})
            response = connection.getresponse()
            text = response.read()
    except (OSError, http.client.HTTPException) as error:
        return Reply(seconds=time.perf_counter() - start, failure=repr(error))
    seconds = time.perf_counter() - start
    failure = None if response.status == http.HTTPStatus.OK else f"{response.status} {text[:200]!r}"
    return Reply(seconds=seconds, revision=response.getheader(REVISION, ""), failure=failure)


class Record:
    """Collects the results of requests from many threads."""

    def __init__(self) -> None:
        self._replies: list[Reply] = []
        self._lock = Lock()

    def add(self, reply: Reply) -> None:
        """Add one result."""
        with self._lock:
            self._replies.append(reply)

    def load(self) -> Load:
        """Return a summary."""
        good = [each for each in self._replies if each.failure is None]
        return Load(
            seconds=[each.seconds for each in good],
            failures=[each.failure for each in self._replies if each.failure is not None],
            revisions=Counter(each.revision for each in good),
        )


def send_requests(request: Request, times: int, *, callers: int) -> Load:
    """Send a request `times` times in total, from several callers."""
    record = Record()
    with ThreadPoolExecutor(callers) as pool:
        for reply in pool.map(send_request, [request] * times):
            record.add(reply)
    return record.load()


@contextmanager
def background_load(request: Request, *, callers: int, pause: float) -> Iterator[Callable[[], Load]]:
    """Send requests while the block runs; each caller pauses `pause` seconds between two requests.

    Yield a function that returns the summary. Call it after the block.
    """
    record, stopped = Record(), Event()

    def send_until_stopped() -> None:
        while not stopped.wait(pause):
            record.add(send_request(request))

    with ThreadPoolExecutor(callers) as pool:
        running: list[Future[None]] = [pool.submit(send_until_stopped) for _ in range(callers)]
        try:
            yield record.load
        finally:
            stopped.set()
    for each in running:
        each.result()
