"""One call with several inferences: the error of one does not affect the others."""

import asyncio
import logging
from pathlib import Path

import pytest

from runtime.frontends.grpc.batch import Batch
from runtime.http.messages import Request
from runtime.predictor import ReadyModel
from runtime.protocols.ml_v1 import BatchPredict
from runtime.protocols.protos import ml_v1_pb2 as pb
from runtime.service import Service
from runtime.settings import Settings
from runtime.tensors import Call, Query
from tests import models

UNLUCKY = 13


class Flawed(BatchPredict):
    """A translator with a bug: it fails for one number."""

    def bind(self, call: Call, model: ReadyModel) -> list[Query]:
        if UNLUCKY in call.parts:
            raise ZeroDivisionError
        return super().bind(call, model)


def test_an_internal_error_of_one_item_is_logged_and_does_not_fail_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR, "scalezero.request")
    settings = Settings(model_uri=str(models.doubling(tmp_path / "m.onnx")), threads=1, cache_dir=tmp_path)

    async def ask(*items: float) -> pb.BatchPredictResponse:
        service = Service(settings, process_started=0.0)
        await service.open()
        requests = [pb.PredictRequest(model_name="m", inputs=[item, item]) for item in items]
        message = pb.BatchPredictRequest(requests=requests).SerializeToString()
        body = b"\0" + len(message).to_bytes(4, "big") + message
        answer = await Batch(service, Flawed()).answer(Request("POST", "/x", b"/x", b"", [], "2", body))
        await service.close()
        assert isinstance(answer.body, bytes)
        return pb.BatchPredictResponse.FromString(answer.body[5:])

    first, second, third = asyncio.run(ask(1, UNLUCKY, 3)).items
    assert (list(first.response.outputs), list(third.response.outputs)) == ([2, 2], [6, 6])
    assert second.error.code == "internal"
    assert "ZeroDivisionError" not in second.error.message
    [record] = caplog.records
    assert record.exc_info
    assert record.exc_info[0] is ZeroDivisionError
