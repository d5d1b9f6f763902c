"""An answered inference leaves no reference cycles, because the passes of the garbage collector delay responses."""

import asyncio
import gc
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from runtime.frontends.application import Application
from runtime.http.http11 import Http11
from runtime.http.limits import Limits
from runtime.http.server import Server
from runtime.service import Service
from runtime.settings import settings_from
from tests import models
from tests.runtime.http.recorder import Recorder

BODY = b'{"inputs":[1,2,3]}'


def prediction(_: int) -> bytes:
    return b"POST /api/v1/models/m/predict HTTP/1.1\r\nhost: h\r\ncontent-length: %d\r\n\r\n%b" % (len(BODY), BODY)


def event(number: int) -> bytes:
    attributes = b"ce-specversion: 1.0\r\nce-source: /t\r\nce-type: t\r\nce-id: %d\r\n" % number
    head = b"POST / HTTP/1.1\r\nhost: h\r\n%bcontent-type: application/json\r\n" % attributes
    return b"%bcontent-length: %d\r\n\r\n%b" % (head, len(BODY), BODY)


@pytest.mark.parametrize("request_of", [prediction, event])
def test_an_answered_inference_leaves_no_reference_cycle(tmp_path: Path, request_of: Callable[[int], bytes]) -> None:
    path = models.identity(tmp_path / "m.onnx")
    settings = settings_from({"SCALEZERO_MODEL_URI": str(path)})

    async def garbage() -> int:
        service = Service(settings, process_started=time.perf_counter())
        await service.open()
        await service.model("m").load()
        transport = Recorder()
        connection = Http11(Server(Application(service), Limits(body=1000, buffered=1000)))
        connection.connection_made(transport)

        async def ask(numbers: range) -> None:
            for number in numbers:
                answered = len(transport.writes)
                connection.data_received(request_of(number))
                while len(transport.writes) == answered:  # noqa: ASYNC110 - the transport is a plain recorder
                    await asyncio.sleep(0)
                assert b" 200 OK" in transport.writes[-1]

        await ask(range(20))  # creates what is created only once
        gc.collect()
        gc.disable()
        try:
            await ask(range(20, 60))
            return gc.collect()
        finally:
            gc.enable()
            await service.close()

    assert asyncio.run(garbage()) == 0
