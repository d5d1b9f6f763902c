"""Requests in every form of every protocol to a function's URL, over keep-alive connections.

The forms are those of `tests.conformance.dialects`.
"""

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import grpc
import httpx
import numpy as np

from tests.conformance.dialects import Answer, Dialect
from tests.e2e.load import ANSWER_TIMEOUT, Tally
from tests.runtime.frontends.conftest import grpc_channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function, with one HTTP/1.1 connection and one gRPC channel."""

    rest: httpx.Client
    grpc: grpc.Channel

    def client(self) -> AbstractContextManager[httpx.Client]:
        """Return the client. It stays open after the block."""
        return nullcontext(self.rest)

    def channel(self) -> AbstractContextManager[grpc.Channel]:
        """Return the channel. It stays open after the block."""
        return nullcontext(self.grpc)


@contextmanager
def connected(url: str) -> Iterator[Function]:
    """Connect to the function at this URL until the block ends."""
    host = httpx.URL(url).host
    with (
        httpx.Client(base_url=url, trust_env=False, timeout=ANSWER_TIMEOUT) as rest,
        grpc_channel(f"{host}:80") as channel,
    ):
        yield Function(rest=rest, grpc=channel)


def call_unary(function: Function, path: str, request: Any, answer: Any, **options: Any) -> Any:  # noqa: ANN401 - messages
    """Return the answer to a unary call. `answer` is its class; the options are grpcio's. Raises `grpc.RpcError`."""
    call = function.grpc.unary_unary(path, lambda message: message.SerializeToString(), answer.FromString)
    return call(request, timeout=ANSWER_TIMEOUT, **options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """An input, and the expected output of each version of the model."""

    x: np.ndarray
    expected: Mapping[str, np.ndarray]

    def error(self, answer: Answer) -> str | None:
        """Return what is wrong with the answer, or None."""
        version = answer.headers["x-model-version"]
        if answer.output.tobytes() == self.expected[version].tobytes():
            return None
        return f"version {version} answered {answer.output.tolist()}; expected {self.expected[version].tolist()}"


def send(function: Function, dialect: Dialect, example: Example, tally: Tally) -> None:
    """Send one request and record its result under the version that answered. A wrong output is a failure."""
    began = time.monotonic()
    try:
        answer = dialect.send(function, example.x)
    except grpc.RpcError as error:
        tally.failures.append((began, f"{dialect}: {error.code()}: {error.details()}"))
    except (httpx.TransportError, AssertionError) as error:
        tally.failures.append((began, f"{dialect}: {type(error).__name__}: {error}"))
    else:
        if (wrong := example.error(answer)) is None:
            tally.answers.append((began, answer.headers["x-model-version"]))
        else:
            tally.failures.append((began, f"{dialect}: {wrong}"))


@contextmanager
def protocol_load(
    url: str, dialects: Sequence[Dialect], example: Example, *, pause: float
) -> Iterator[Mapping[Dialect, Tally]]:
    """Send requests in all dialects concurrently until the block ends, with a pause in seconds after each answer.

    Each dialect has its own connections, and sends at least one request.
    """
    tallies = {dialect: Tally() for dialect in dialects}
    stopped = threading.Event()

    def send_until_stopped(dialect: Dialect) -> None:
        with connected(url) as function:
            send(function, dialect, example, tallies[dialect])
            while not stopped.wait(pause):
                send(function, dialect, example, tallies[dialect])

    threads = [threading.Thread(target=send_until_stopped, args=(dialect,)) for dialect in dialects]
    for thread in threads:
        thread.start()
    try:
        yield tallies
    finally:
        stopped.set()
        for thread in threads:
            thread.join()
