"""Requests of browsers from other origins, by the rules of the Fetch standard."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import models
from tests.runtime.frontends.conftest import Served, serving

APP, OTHER = "https://app.example.com", "https://other.example.com"
PREDICT = "/api/v1/models/m/predict"
FUNCTION = """
import flask
def handle(request):
    return flask.Response("from the function", headers={"Vary": "Accept"})
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    (folder / "main.py").write_text(FUNCTION)
    settings = {
        "SCALEZERO_CORS_ORIGINS": f"https://first.example.com, {APP}",
        "FUNCTION_SOURCE": str(folder / "main.py"),
    }
    with serving(folder, models.lookup(folder / "m.onnx"), env=settings) as served:
        yield served


def preflight(served: Served, path: str, origin: str, method: str = "POST") -> tuple[int, dict[str, str]]:
    headers = {
        "origin": origin,
        "access-control-request-method": method,
        "access-control-request-headers": "content-type,x-request-id",
    }
    with served.client() as client:
        response = client.options(path, headers=headers)
    return response.status_code, dict(response.headers)


@pytest.mark.parametrize("path", [PREDICT, "/v2/models/m/infer", "/", "/v1/models/m:predict"])
def test_a_preflight_request_of_an_allowed_origin_is_answered_for_every_path(served: Served, path: str) -> None:
    status, headers = preflight(served, path, APP)
    assert status == 204
    assert headers["access-control-allow-origin"] == APP
    assert headers["access-control-allow-methods"] == "POST"
    assert headers["access-control-allow-headers"] == "content-type,x-request-id"
    assert headers["vary"] == "origin"


def test_a_preflight_request_of_another_origin_is_answered_like_any_other_request(served: Served) -> None:
    status, headers = preflight(served, PREDICT, OTHER)
    assert status == 405
    assert "access-control-allow-origin" not in headers


@pytest.mark.parametrize("content", ['{"inputs":[3]}', "{"], ids=["an answer", "an error"])
def test_every_response_to_an_allowed_origin_is_readable_by_its_page(served: Served, content: str) -> None:
    with served.client() as client:
        answer = client.post(PREDICT, content=content, headers={"origin": APP})
        other = client.post(PREDICT, content=content, headers={"origin": OTHER})
        none = client.post(PREDICT, content=content)
    assert answer.headers["access-control-allow-origin"] == APP
    assert answer.headers["access-control-expose-headers"] == "*"
    for each in (other, none):
        assert "access-control-allow-origin" not in each.headers
        assert each.headers["vary"] == "origin"  # so that a cache does not reuse it for the allowed origin


def test_responses_of_the_function_are_readable_and_keep_their_vary_header(served: Served) -> None:
    with served.client() as client:
        answer = client.post("/", headers={"origin": APP})
    assert answer.text == "from the function"
    assert answer.headers["access-control-allow-origin"] == APP
    assert answer.headers.get_list("vary", split_commas=True) == ["Accept", "origin"]


def test_an_asterisk_allows_every_origin(tmp_path: Path) -> None:
    with serving(tmp_path, models.lookup(tmp_path / "m.onnx"), SCALEZERO_CORS_ORIGINS="*") as served:
        status, headers = preflight(served, PREDICT, OTHER)
    assert status == 204
    assert headers["access-control-allow-origin"] == "*"


def test_without_the_setting_no_origin_is_allowed(tmp_path: Path) -> None:
    with serving(tmp_path, models.lookup(tmp_path / "m.onnx")) as served, served.client() as client:
        assert preflight(served, PREDICT, APP)[0] == 405
        answer = client.post(PREDICT, content='{"inputs":[3]}', headers={"origin": APP})
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers
    assert "vary" not in answer.headers
