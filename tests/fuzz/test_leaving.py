"""Clients that leave: in the middle of a request, before its answer, and while it waits for its run."""

import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests import models
from tests.fuzz.conftest import LIMIT, holds_nothing
from tests.fuzz.messages import BODIES, CALLS, frame
from tests.runtime.frontends.conftest import Served, serving, until
from tests.runtime.http.asgi_server import eventually
from tests.runtime.http.h2_client import Caller, calling

CALL = (("content-type", "application/grpc"), ("te", "trailers"))
INFERENCES = [
    "/ml.v1.InferenceService/Predict",
    "/ml.v1.InferenceService/BatchPredict",
    "/inference.GRPCInferenceService/ModelInfer",
    "/inference.GRPCInferenceService/ModelStreamInfer",
    "/org.pytorch.serve.grpc.openinference.GRPCInferenceService/ModelInfer",
    "/tensorflow.serving.PredictionService/Predict",
    "/org.pytorch.serve.grpc.inference.InferenceAPIsService/Predictions",
]
LEFT = 20  # calls that are given up
IDS = [f"{path} {kind.partition(';')[0]}" for path, kind in BODIES]


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A model whose runs take a while, one call at a time."""
    folder = tmp_path_factory.mktemp("busy")
    settings: dict[str, Any] = {"SCALEZERO_BATCH_SIZE": "1", "SCALEZERO_TIMEOUT": "60s", "SCALEZERO_BATCHING": "never"}
    room: dict[str, Any] = {"SCALEZERO_MAX_BODY_BYTES": str(LIMIT), "SCALEZERO_MAX_BUFFERED_BYTES": str(8 * LIMIT)}
    with serving(folder, models.heavy(folder / "m.onnx", size=1200), **settings, **room) as served:
        yield served


@pytest.mark.parametrize("path", INFERENCES)
def test_a_call_that_is_cancelled_in_the_queue_never_runs(busy: Served, path: str) -> None:
    before = runs(busy)
    with calling(busy.port) as caller:
        first = ask(caller, path)
        left = [ask(caller, path) for _ in range(LEFT)]
        for stream in left:
            caller.reset(stream)
        last = ask(caller, path)
        assert caller.answer(first).status == caller.answer(last).status == 200
    assert runs(busy) - before < LEFT  # twice as many and more, did they all run
    holds_nothing(busy)


@pytest.mark.parametrize("path", INFERENCES)
def test_a_connection_that_breaks_takes_its_calls_with_it(busy: Served, path: str) -> None:
    before = runs(busy)
    with calling(busy.port) as caller:
        for _ in range(LEFT):
            ask(caller, path)
    with calling(busy.port) as caller:
        assert caller.answer(ask(caller, path)).status == 200
    assert runs(busy) - before < LEFT
    holds_nothing(busy)


@pytest.mark.parametrize("path", [*INFERENCES, "/grpc.health.v1.Health/Watch"])
def test_a_thousand_cancelled_calls_leave_nothing(served: Served, path: str) -> None:
    message = CALLS.get(path, b"")
    with calling(served.port) as caller:
        for number in range(1000):
            stream = caller.ask(path, frame(message)[: number % 40], end=False, fields=CALL)
            caller.reset(stream)
        assert caller.answer(ask(caller, "/grpc.health.v1.Health/Check")).trailers
    holds_nothing(served)


@pytest.mark.parametrize(("path", "kind"), BODIES, ids=IDS)
@pytest.mark.parametrize("share", [0, 0.5, 1])
def test_a_client_that_leaves_in_the_middle_of_its_request_leaves_nothing(
    served: Served, path: str, kind: str, share: float
) -> None:
    body = BODIES[path, kind]
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    for _ in range(10):
        with socket.create_connection(("127.0.0.1", served.port), timeout=20) as connection:
            connection.sendall(head + body[: int(len(body) * share)])
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # end by a reset
    holds_nothing(served)


def ask(caller: Caller, path: str) -> int:
    """Send the good message of a method; return the stream."""
    return caller.ask(path, frame(CALLS[path]), fields=CALL)


def runs(served: Served) -> float:
    """Rows that the model has computed, once it computes none."""
    until(served, "/healthz/ready")
    seen = [-1.0]

    def quiet() -> bool:
        time.sleep(0.2)
        lines = served.get("/metrics").text.splitlines()
        seen.append(
            sum(float(each.rpartition(" ")[2]) for each in lines if each.startswith("scalezero_batch_rows_sum"))
        )
        return seen[-1] == seen[-2]

    eventually(quiet, within=30)
    return seen[-1]
