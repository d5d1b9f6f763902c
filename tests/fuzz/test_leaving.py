"""Clients that disconnect or cancel: in the middle of a request, before the answer, and in the queue."""

import socket
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests import models
from tests.fuzz.conftest import LIMIT, check_released
from tests.fuzz.messages import BODIES, CALLS, frame
from tests.runtime.frontends.conftest import Served, serving, until
from tests.runtime.http.h2_client import Caller, calling
from tests.waiting import DEADLINE, eventually

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
CANCELLED = 20  # calls
IDS = [f"{path} {kind.partition(';')[0]}" for path, kind in BODIES]


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A model with slow runs of one call each."""
    folder = tmp_path_factory.mktemp("busy")
    settings: dict[str, Any] = {"SCALEZERO_BATCH_SIZE": "1", "SCALEZERO_TIMEOUT": "60s", "SCALEZERO_BATCHING": "never"}
    limits: dict[str, Any] = {"SCALEZERO_MAX_BODY_BYTES": str(LIMIT), "SCALEZERO_MAX_BUFFERED_BYTES": str(8 * LIMIT)}
    with serving(folder, models.heavy(folder / "m.onnx", size=1200), **settings, **limits) as served:
        yield served


@pytest.mark.parametrize("path", INFERENCES)
def test_a_call_that_is_cancelled_in_the_queue_does_not_run(busy: Served, path: str) -> None:
    before = runs(busy)
    with calling(busy.port) as caller:
        first = call(caller, path)
        cancelled = [call(caller, path) for _ in range(CANCELLED)]
        for stream in cancelled:
            caller.reset(stream)
        last = call(caller, path)
        assert caller.answer(first).status == caller.answer(last).status == 200
    assert runs(busy) - before < CANCELLED  # if all calls had run, there would be more than twice as many
    check_released(busy)


@pytest.mark.parametrize("path", INFERENCES)
def test_a_broken_connection_cancels_its_calls(busy: Served, path: str) -> None:
    before = runs(busy)
    with calling(busy.port) as caller:
        for _ in range(CANCELLED):
            call(caller, path)
    with calling(busy.port) as caller:
        assert caller.answer(call(caller, path)).status == 200
    assert runs(busy) - before < CANCELLED
    check_released(busy)


@pytest.mark.parametrize("path", [*INFERENCES, "/grpc.health.v1.Health/Watch"])
def test_a_thousand_cancelled_calls_release_their_resources(served: Served, path: str) -> None:
    message = CALLS.get(path, b"")
    with calling(served.port) as caller:
        for number in range(1000):
            stream = caller.ask(path, frame(message)[: number % 40], end=False, fields=CALL)
            caller.reset(stream)
        assert caller.answer(call(caller, "/grpc.health.v1.Health/Check")).trailers
    check_released(served)


@pytest.mark.parametrize(("path", "kind"), BODIES, ids=IDS)
@pytest.mark.parametrize("share", [0, 0.5, 1])
def test_a_client_that_disconnects_in_the_middle_of_its_request_releases_its_resources(
    served: Served, path: str, kind: str, share: float
) -> None:
    body = BODIES[path, kind]
    head = f"POST {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {kind}\r\ncontent-length: {len(body)}\r\n\r\n".encode()
    for _ in range(10):
        with socket.create_connection(("127.0.0.1", served.port), timeout=DEADLINE) as connection:
            connection.sendall(head + body[: int(len(body) * share)])
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # close with a reset
    check_released(served)


def call(caller: Caller, path: str) -> int:
    """Send the valid message of a method; return the stream."""
    return caller.ask(path, frame(CALLS[path]), fields=CALL)


def runs(served: Served) -> float:
    """Wait until the model computes no more rows; return how many it has computed."""
    until(served, "/healthz/ready")
    counts = [-1.0]

    def quiet() -> bool:
        time.sleep(0.2)
        lines = served.get("/metrics").text.splitlines()
        counts.append(
            sum(float(each.rpartition(" ")[2]) for each in lines if each.startswith("scalezero_batch_rows_sum"))
        )
        return counts[-1] == counts[-2]

    eventually(quiet)
    return counts[-1]
