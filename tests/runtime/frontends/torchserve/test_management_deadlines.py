"""Deadlines of management calls: the call ends in time, and its operation is finished anyway."""

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from time import perf_counter

import grpc
import httpx
import numpy as np
import orjson
import pytest

from runtime.frontends.torchserve.registry import Registry
from runtime.predictor import predict
from runtime.protocols.protos import torchserve_management_pb2 as pb
from runtime.protocols.torchserve.management import registration
from runtime.service import Service
from runtime.settings import Settings
from runtime.tensors import Query
from tests import models
from tests.runtime import independence_models
from tests.runtime.faulty_s3 import Fault, FaultyS3
from tests.runtime.frontends.conftest import Served, managed, serving, until_running
from tests.s3_server import S3Server
from tests.waiting import DEADLINE, eventually

SERVICE = "/org.pytorch.serve.grpc.management.ManagementAPIsService"
KEY = "a key from a Secret of the cluster"
METADATA = {"authorization": f"Bearer {KEY}"}


@pytest.fixture
def pulling(tmp_path: Path, s3: S3Server) -> Iterator[tuple[Served, Event]]:
    """A server whose pull of slow.onnx waits for the event."""
    s3.make_bucket("deadlines")
    s3.put("s3://deadlines/models/slow.onnx", models.doubling(tmp_path / "slow.onnx").read_bytes())
    may_pull = Event()

    def wait() -> None:
        may_pull.wait(DEADLINE)

    with FaultyS3(s3.endpoint_url) as store:
        store.add(Fault(path="slow.onnx", before=wait))
        settings = {
            **s3.environment(),
            "AWS_ENDPOINT_URL": store.endpoint_url,
            "MODEL_STORE": "s3://deadlines/models/",
            "LOAD_MODELS": "none",
            "SCALEZERO_MODEL_API": "true",
            "SCALEZERO_MANAGEMENT_KEY": KEY,
        }
        with serving(tmp_path, env=settings) as served:
            yield served, may_pull
            may_pull.set()


def call(served: Served, method: str, message: bytes = b"", *, timeout: float = DEADLINE) -> str:
    with served.channel() as channel:
        stub = channel.unary_unary(f"{SERVICE}/{method}", response_deserializer=pb.ManagementResponse.FromString)
        text: str = stub(message, timeout=timeout, metadata=list(METADATA.items())).msg
        return text


def late(served: Served, method: str, message: bytes, *, timeout: float) -> grpc.StatusCode:
    with pytest.raises(grpc.RpcError) as ended:
        call(served, method, message, timeout=timeout)
    return ended.value.code()


def raw(served: Served, method: str, message: bytes, **headers: str) -> httpx.Response:
    """Call as a client or a gateway that leaves the deadline to the server: grpcio ends the call by itself."""
    given = {"content-type": "application/grpc", "te": "trailers", **METADATA}
    given |= {name.replace("_", "-"): value for name, value in headers.items()}
    with served.client(http1=False, http2=True) as client:
        body = b"\0" + len(message).to_bytes(4, "big") + message
        return client.post(f"{SERVICE}/{method}", content=body, headers=given)


def listed(served: Served) -> list[str]:
    return [each["modelName"] for each in orjson.loads(call(served, "ListModels"))["models"]]


def wait_for(served: Served, names: list[str]) -> None:
    eventually(lambda: listed(served) == names, served.log.read_text)


def test_a_registration_ends_at_the_deadline_of_the_client_and_is_finished(pulling: tuple[Served, Event]) -> None:
    served, may_pull = pulling
    assert listed(served) == []  # imports the protocol
    message = pb.RegisterModelRequest(url="slow.onnx").SerializeToString()
    assert late(served, "RegisterModel", message, timeout=1) is grpc.StatusCode.DEADLINE_EXCEEDED
    assert listed(served) == []
    may_pull.set()
    wait_for(served, ["slow"])
    assert served.predict([[1, 2]], model="slow").json()["outputs"] == [[2, 4]]
    assert "failed" not in served.log.read_text()


def test_the_server_ends_a_registration_at_the_deadline_by_itself(pulling: tuple[Served, Event]) -> None:
    served, may_pull = pulling
    assert listed(served) == []  # imports the protocol
    message = pb.RegisterModelRequest(url="slow.onnx").SerializeToString()
    answer = raw(served, "RegisterModel", message, grpc_timeout="1S")
    assert answer.headers["grpc-status"] == str(grpc.StatusCode.DEADLINE_EXCEEDED.value[0])
    assert "grpc-timeout of 1 s; its operation continues" in answer.headers["grpc-message"]
    may_pull.set()
    wait_for(served, ["slow"])


def test_an_operation_does_not_begin_after_the_deadline_or_with_an_invalid_one(pulling: tuple[Served, Event]) -> None:
    served, may_pull = pulling
    may_pull.set()
    message = pb.RegisterModelRequest(url="slow.onnx").SerializeToString()
    for timeout, code, text in (
        ("1n", grpc.StatusCode.DEADLINE_EXCEEDED, "its operation did not begin"),
        ("soon", grpc.StatusCode.INVALID_ARGUMENT, "grpc-timeout"),
    ):
        answer = raw(served, "RegisterModel", message, grpc_timeout=timeout)
        assert answer.headers["grpc-status"] == str(code.value[0])
        assert text in answer.headers["grpc-message"]
    time.sleep(0.3)
    assert listed(served) == []


def test_a_model_is_loaded_after_the_deadline_of_a_scaling(tmp_path: Path) -> None:
    env = {
        "SCALEZERO_MANAGEMENT_KEY": KEY,
        "SCALEZERO_PROTOCOLS": "torchserve_management",
        "SCALEZERO_LOAD": "lazy",
        "SCALEZERO_RUN_TIMEOUT": "3s",  # of the warm-up, so the load takes as long
    }
    with serving(tmp_path, independence_models.endless_on_zeros(tmp_path / "m.onnx"), env=env) as served:
        listed(served)  # imports the protocol
        message = pb.ScaleWorkerRequest(model_name="m", synchronous=True).SerializeToString()
        assert raw(served, "ScaleWorker", message, grpc_timeout="1S").headers["grpc-status"] == "4"
        assert managed(served)["m", "", "deadline_exceeded"] == 1
        eventually(lambda: served.get("/api/v1/models/m").json()["state"] == "ready", served.log.read_text)


def test_an_unregistration_ends_at_the_deadline_and_the_requests_of_the_model_are_answered(tmp_path: Path) -> None:
    env = {"SCALEZERO_MANAGEMENT_KEY": KEY, "SCALEZERO_MODEL_API": "true", "SCALEZERO_RUN_TIMEOUT": "5s"}
    with (
        serving(tmp_path, independence_models.countdown(tmp_path / "m.onnx"), env=env) as served,
        ThreadPoolExecutor(6) as callers,
    ):
        listed(served)
        running = callers.submit(served.predict, [2**62])
        until_running(served)
        answers = [callers.submit(served.predict, [number]) for number in range(5)]
        describe = pb.DescribeModelRequest(model_name="m").SerializeToString()
        eventually(
            lambda: orjson.loads(call(served, "DescribeModel", describe))[0]["jobQueueStatus"]["pendingRequests"] > 0
        )
        message = pb.UnregisterModelRequest(model_name="m").SerializeToString()
        assert late(served, "UnregisterModel", message, timeout=1) is grpc.StatusCode.DEADLINE_EXCEEDED
        assert listed(served) == []
        assert running.result().status_code == 504
        statuses = {each.result().status_code for each in answers}
        assert 200 in statuses
        assert statuses <= {200, 404}, "a request that the model had accepted was refused"


def test_an_unregistration_whose_caller_leaves_releases_the_model(tmp_path: Path) -> None:
    """A model that stays in memory without a name could never be unregistered."""
    models.heavy(tmp_path / "m.onnx", size=1600)

    async def scenario() -> None:
        service = Service(Settings(model_store=str(tmp_path), model_api=True), process_started=perf_counter())
        await service.open()
        registry = Registry(service)
        await registry.register(registration({"url": "m.onnx"}))
        served = service.model("m")
        running = asyncio.create_task(predict(await served.load(), Query([np.ones((1, 2), np.float32)])))
        await asyncio.sleep(0)
        leaving = asyncio.create_task(registry.unregister("m", None))
        await asyncio.sleep(0.01)
        leaving.cancel()
        await running
        async with asyncio.timeout(DEADLINE):
            while served.ready is not None:  # noqa: ASYNC110 - nothing announces it
                await asyncio.sleep(0.01)
        await service.close(within=DEADLINE)

    asyncio.run(scenario())
