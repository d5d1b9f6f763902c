"""Requests that the transport refuses: the owner of the content type answers, otherwise the owner of the path."""

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
def test_a_grpc_call_is_refused_in_grpcs_form_whatever_its_path(
    application: Application, path: str, fault: ScalezeroError, http: int, grpc: int
) -> None:
    answer = application.refuse(fault, request(path, CALL))
    assert (answer.status, dict(answer.headers)[b"grpc-status"]) == (200, b"%d" % grpc)
    answer = application.refuse(fault, request(path, b"application/json"))
    assert (answer.status, orjson.loads(cast("bytes", answer.body))["error"]["code"]) == (http, fault.code)


def test_a_grpc_call_over_http_1_is_refused_with_an_http_status(application: Application) -> None:
    """A gRPC client cannot read a response over HTTP/1.1."""
    assert application.refuse(ShuttingDown(), request(METHOD, CALL, "1.1")).status == 503


def test_a_call_to_an_unknown_method_is_refused_before_its_body(application: Application) -> None:
    application.admit(request(METHOD, CALL))
    application.admit(request("/x.Y/Z", b"application/json"))
    with pytest.raises(UnknownMethod):
        application.admit(request("/x.Y/Z", CALL))
