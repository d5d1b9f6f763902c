"""Every form of every protocol, spoken to a function's URL: `tests.conformance.dialects` over connections that stay."""

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
from tests.e2e.load import PATIENCE, Tally
from tests.runtime.frontends.conftest import grpc_channel


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function, over one connection of HTTP/1.1 and one of gRPC."""

    rest: httpx.Client
    grpc: grpc.Channel

    def client(self) -> AbstractContextManager[httpx.Client]:
        """The client, which stays open."""
        return nullcontext(self.rest)

    def channel(self) -> AbstractContextManager[grpc.Channel]:
        """The channel, which stays open."""
        return nullcontext(self.grpc)


@contextmanager
def reached(url: str) -> Iterator[Function]:
    """Reach the function of that URL until the block ends."""
    host = httpx.URL(url).host
    with (
        httpx.Client(base_url=url, trust_env=False, timeout=PATIENCE) as rest,
        grpc_channel(f"{host}:80") as channel,
    ):
        yield Function(rest=rest, grpc=channel)


def called(function: Function, path: str, request: Any, answer: Any, **options: Any) -> Any:  # noqa: ANN401 - messages
    """The answer to a unary call; `answer` is its class, and the options are grpcio's. Raises `grpc.RpcError`."""
    call = function.grpc.unary_unary(path, lambda message: message.SerializeToString(), answer.FromString)
    return call(request, timeout=PATIENCE, **options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """An input, and the output that each version of the model has for it."""

    x: np.ndarray
    right: Mapping[str, np.ndarray]

    def fault(self, answer: Answer) -> str | None:
        """What is wrong with the answer."""
        version = answer.headers["x-model-version"]
        if answer.output.tobytes() == self.right[version].tobytes():
            return None
        return f"version {version} answered {answer.output.tolist()}, not {self.right[version].tolist()}"


def ask(function: Function, dialect: Dialect, question: Question, tally: Tally) -> None:
    """Ask once and count what comes, for the version that answered. Wrong bits are a failure."""
    began = time.monotonic()
    try:
        answer = dialect.ask(function, question.x)
    except grpc.RpcError as error:
        tally.failures.append((began, f"{dialect}: {error.code()}: {error.details()}"))
    except (httpx.TransportError, AssertionError) as error:
        tally.failures.append((began, f"{dialect}: {type(error).__name__}: {error}"))
    else:
        if (fault := question.fault(answer)) is None:
            tally.answers.append((began, answer.headers["x-model-version"]))
        else:
            tally.failures.append((began, f"{dialect}: {fault}"))


@contextmanager
def spoken(
    url: str, dialects: Sequence[Dialect], question: Question, *, pause: float
) -> Iterator[Mapping[Dialect, Tally]]:
    """Ask in each of the dialects until the block ends, all of them at once, with a pause in seconds after each answer.

    Each has connections of its own, and asks at least once.
    """
    tallies = {dialect: Tally() for dialect in dialects}
    over = threading.Event()

    def speak(dialect: Dialect) -> None:
        with reached(url) as function:
            ask(function, dialect, question, tallies[dialect])
            while not over.wait(pause):
                ask(function, dialect, question, tallies[dialect])

    threads = [threading.Thread(target=speak, args=(dialect,)) for dialect in dialects]
    for thread in threads:
        thread.start()
    try:
        yield tallies
    finally:
        over.set()
        for thread in threads:
            thread.join()
