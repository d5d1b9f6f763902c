"""Events at KServe's routes: the data is the protocol's request, and the data of the reply its response."""

import base64
import json
from collections.abc import Iterator

import httpx
import pytest

from tests import models
from tests.runtime.frontends.conftest import Served, serving
from tests.runtime.frontends.events.conftest import BATCH, TRACE, document, event_headers, headers, post, post_document

V1, V2 = "/v1/models/m:predict", "/v2/models/m/infer"
V1_BODY = {"instances": [[1, 2]]}
V2_BODY = {"id": "7", "inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}
ROUTES = pytest.mark.parametrize(("path", "body"), [(V1, V1_BODY), (V2, V2_BODY)], ids=["V1", "V2"])


@pytest.fixture(scope="module", params=[None, "kserve_v1,open_inference"], ids=["all protocols", "only KServe's"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A fast model: y = 2 x. With all protocols, TensorFlow Serving's handler answers KServe's V1 route."""
    folder = tmp_path_factory.mktemp("served")
    env = {} if request.param is None else {"SCALEZERO_PROTOCOLS": request.param}
    with serving(folder, models.doubling(folder / "m.onnx"), env=env) as served:
        yield served


def plain(served: Served, path: str, body: object) -> httpx.Response:
    with served.client() as client:
        return client.post(path, json=body)


@ROUTES
def test_an_event_in_binary_mode_gets_the_response_as_an_event(served: Served, path: str, body: object) -> None:
    head = headers(of="8", traceparent=TRACE)
    answer = post(served, path=path, body=json.dumps(body).encode(), head=head)
    assert answer.json() == plain(served, path, body).json()
    found = event_headers(answer)
    assert (found["type"], found["source"]) == ("io.kserve.inference.response", "io.kserve.inference.m")
    assert (found["causationid"], found["traceparent"]) == ("8", TRACE)
    again = post(served, path=path, body=json.dumps(body).encode(), head=head)
    assert event_headers(again)["id"] != found["id"]  # as in KServe, each delivery is a new inference


@ROUTES
def test_an_event_in_structured_mode_gets_the_response_in_structured_mode(
    served: Served, path: str, body: object
) -> None:
    reply = post_document(served, document(data=body), path=path).json()
    assert reply["data"] == plain(served, path, body).json()
    assert reply["source"] == "io.kserve.inference.m"


def test_a_response_with_binary_tensors_is_base64_in_structured_mode(served: Served) -> None:
    body = {**V2_BODY, "parameters": {"binary_data_output": True}}
    reply = post_document(served, document(data=body), path=V2).json()
    assert reply["datacontenttype"] == "application/octet-stream"
    assert base64.b64decode(reply["data_base64"]) == plain(served, V2, body).content


def test_a_large_event_is_answered_like_a_small_one(served: Served) -> None:
    rows = [[float(row), 1.0] for row in range(30_000)]
    answer = post(served, path=V1, body=json.dumps({"instances": rows}).encode())
    assert answer.json()["predictions"][-1] == [59_998.0, 2.0]
    assert event_headers(answer)["type"] == "io.kserve.inference.response"


@ROUTES
def test_errors_have_the_form_and_status_of_the_protocol(served: Served, path: str, body: object) -> None:
    unknown = path.replace("/m:", "/z:").replace("/m/", "/z/")
    for answer, status in (
        (post(served, path=path, body=b'{"instances": 1, "inputs": 1}'), 400),
        (post(served, path=unknown, body=json.dumps(body).encode()), 404),
        (post_document(served, [document(data=body)], path=path, kind=BATCH), 400),
        (post(served, path=path, head={**headers(), "ce-id": ""}), 400),
    ):
        assert answer.status_code == status
        assert list(answer.json()) == ["error"]
        assert isinstance(answer.json()["error"], str)
        assert event_headers(answer) == {}
