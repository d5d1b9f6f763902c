"""Who answers what the transport refuses: the owner of the content type, else that of the path."""

from pathlib import Path
from typing import cast

import orjson
import pytest

from runtime.errors import InternalError, Overloaded, PayloadTooLarge, ScalezeroError, ShuttingDown, UnknownMethod
from runtime.frontends.application import Application
from runtime.http.messages import Request
from runtime.service import Service
from runtime.settings import Settings

CALL, METHOD = b"application/grpc", "/ml.v1.InferenceService/Predict"
TRANSPORT = [
    (PayloadTooLarge("body", limit=1, unit="bytes"), 413, 8),
    (Overloaded("bodies", limit=1, unit="bytes", retry_after=1), 503, 14),
    (ShuttingDown(), 503, 14),
    (InternalError(), 500, 13),
]


@pytest.fixture
def application(tmp_path: Path) -> Application:
    return Application(Service(Settings(model_uri=str(tmp_path / "m.onnx")), process_started=0.0))


def request(path: str, content_type: bytes, version: str = "2") -> Request:
    return Request("POST", path, path.encode(), b"", [(b"content-type", content_type)], version)


@pytest.mark.parametrize(("fault", "http", "grpc"), TRANSPORT)
@pytest.mark.parametrize("path", [METHOD, "/x.Y/Z", "/api/v1/models/m/predict", "/other"])
def test_a_call_is_refused_as_a_call_wherever_its_path_leads(
    application: Application, path: str, fault: ScalezeroError, http: int, grpc: int
) -> None:
    answer = application.refuse(fault, request(path, CALL))
    assert (answer.status, dict(answer.headers)[b"grpc-status"]) == (200, b"%d" % grpc)
    answer = application.refuse(fault, request(path, b"application/json"))
    assert (answer.status, orjson.loads(cast("bytes", answer.body))["error"]["code"]) == (http, fault.code)


def test_over_http_1_the_status_is_http_s(application: Application) -> None:
    """There, a call is nothing that a gRPC client could read the answer of."""
    assert application.refuse(ShuttingDown(), request(METHOD, CALL, "1.1")).status == 503


def test_a_call_that_no_method_answers_is_refused_by_its_head(application: Application) -> None:
    application.admit(request(METHOD, CALL))
    application.admit(request("/x.Y/Z", b"application/json"))
    with pytest.raises(UnknownMethod):
        application.admit(request("/x.Y/Z", CALL))
