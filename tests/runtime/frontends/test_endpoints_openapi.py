"""/openapi.json is built once for a set of models, and shared by concurrent requests."""

import asyncio
import time
from pathlib import Path

import pytest

from runtime.frontends import describing
from runtime.frontends.endpoints import Endpoints
from runtime.http.messages import Request
from runtime.service import Service
from runtime.settings import settings_from
from tests import models


def request() -> Request:
    return Request("GET", "/openapi.json", b"/openapi.json", b"", [], "1.1")


def test_concurrent_requests_share_a_document_and_a_loaded_model_invalidates_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[None] = []
    document_of = describing.document_of

    def counted(service: Service) -> object:
        made.append(None)
        return document_of(service)

    monkeypatch.setattr(describing, "document_of", counted)
    path = models.doubling(tmp_path / "m.onnx")

    async def scenario() -> None:
        settings = settings_from({"SCALEZERO_MODEL_URI": str(path), "SCALEZERO_LOAD": "lazy"})
        service = Service(settings, process_started=time.perf_counter())
        await service.open()
        endpoints = Endpoints(service, None)
        before = await asyncio.gather(*(endpoints.openapi(request()) for _ in range(20)))
        assert (len(made), len({answer.body for answer in before})) == (1, 1)
        await service.model("m").load()
        after = [await endpoints.openapi(request()) for _ in range(3)]
        assert (len(made), len({answer.body for answer in after})) == (2, 1)
        assert before[0].body != after[0].body  # the new document has the model's inputs
        await service.close()

    asyncio.run(scenario())


def test_a_failed_build_of_the_document_is_retried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Service) -> object:
        raise OSError("no file left")

    path = models.doubling(tmp_path / "m.onnx")

    async def scenario() -> None:
        service = Service(settings_from({"SCALEZERO_MODEL_URI": str(path)}), process_started=time.perf_counter())
        await service.open()
        endpoints = Endpoints(service, None)
        with monkeypatch.context() as patched:
            patched.setattr(describing, "document_of", broken)
            with pytest.raises(OSError, match="no file left"):
                await endpoints.openapi(request())
        assert (await endpoints.openapi(request())).status == 200
        await service.close()

    asyncio.run(scenario())
