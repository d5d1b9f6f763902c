"""TorchServe's inference API on a real server: paths, methods, forms, headers and errors."""

import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import models
from tests.archives import manifest, unpacked, zipped
from tests.runtime.frontends.conftest import COMMAND, Served, counts, environment, serving, until
from tests.runtime.protocols.torchserve.requests import npy
from tests.s3_server import S3Server
from tests.waiting import DEADLINE

ROWS = [[1.0, 2.0], [3.0, 4.0]]
DOUBLED = [[2.0, 4.0], [6.0, 8.0]]
FLOATS = np.array(ROWS, np.float32)
UNCACHED = {
    "pragma": "no-cache",
    "cache-control": "no-cache; no-store, must-revalidate, private",
    "expires": "Thu, 01 Jan 1970 00:00:00 UTC",
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    with serving(folder, models.doubling(folder / "m.onnx"), SCALEZERO_MODEL_VERSION="2.0") as served:
        yield served


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("people")
    with serving(folder, models.people(folder / "people.onnx")) as served:
        yield served


@pytest.fixture
def client(served: Served) -> Iterator[httpx.Client]:
    with served.client() as client:
        yield client


def refused(response: httpx.Response, status: int, kind: str) -> str:
    """Check the form of an error response, and return its message."""
    assert response.status_code == status, response.text
    document = response.json()
    assert {**document, "message": ""} == {"code": status, "type": kind, "message": ""}
    checked(response)
    message: str = document["message"]
    return message


def checked(response: httpx.Response) -> None:
    """Check the headers that every response has."""
    assert {name: response.headers[name] for name in UNCACHED} == UNCACHED
    assert uuid.UUID(response.headers["x-request-id"])
    assert response.headers["content-type"] == "application/json"


def curl(served: Served, path: str, *arguments: str | Path) -> Any:  # noqa: ANN401 - any JSON value
    """Run curl, and return the JSON that it prints."""
    command = ["curl", "-sS", "--noproxy", "*", *map(str, arguments), f"{served.url}{path}"]
    return orjson.loads(subprocess.run(command, capture_output=True, check=True, timeout=DEADLINE).stdout)


@pytest.mark.parametrize("path", ["/predictions/m", "/predictions/m/2.0", "/predictions/m/2.0/more/segments"])
@pytest.mark.parametrize("method", ["POST", "PUT", "GET", "DELETE", "PATCH"])
def test_any_method_predicts(client: httpx.Client, path: str, method: str) -> None:
    response = client.request(method, path, json=ROWS)
    assert (response.status_code, response.json()) == (200, DOUBLED)
    checked(response)


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/invocations", "?model_name=m"),
        ("/invocations", ""),
        ("/models/m/invoke", ""),
        ("/m/predict", ""),
        ("/m/2.0/predict", ""),
        ("/predictions/m", "?anything=else"),
    ],
)
def test_the_generic_paths_predict(client: httpx.Client, path: str, query: str) -> None:
    assert client.post(path + query, json={"inputs": ROWS}).json() == DOUBLED


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (npy(FLOATS), "application/x-npy"),
        (npy(FLOATS), None),
        (FLOATS.tobytes(), "application/octet-stream"),
        (orjson.dumps({"instances": ROWS}), "application/json"),
        (orjson.dumps({"data": ROWS}), None),
    ],
)
def test_a_body_is_read_by_its_content_type_or_its_first_bytes(
    client: httpx.Client, content: bytes, kind: str | None
) -> None:
    response = client.post("/predictions/m", content=content, headers={"content-type": kind} if kind else {})
    assert response.json() == DOUBLED


def test_a_large_body_and_a_large_answer(client: httpx.Client) -> None:
    many = np.arange(400_000, dtype=np.float32).reshape(-1, 2)
    for options in ({"json": many.tolist()}, {"content": npy(many)}, {"files": {"data": npy(many)}}):
        response = client.post("/predictions/m", **options)
        assert np.array_equal(np.array(response.json(), np.float32), many * 2)


def test_a_compressed_body_is_read(client: httpx.Client) -> None:
    import gzip

    headers = {"content-encoding": "gzip", "content-type": "application/json"}
    assert client.post("/predictions/m", content=gzip.compress(b"[1, 2]"), headers=headers).json() == [2, 4]


def test_curl_may_send_a_file_as_the_body_or_as_a_form_part(served: Served, tmp_path: Path) -> None:
    for name, content in (("rows.json", orjson.dumps(ROWS)), ("rows.npy", npy(FLOATS)), ("rows.bin", FLOATS.tobytes())):
        (tmp_path / name).write_bytes(content)
        assert curl(served, "/predictions/m", "-T", tmp_path / name) == DOUBLED
        assert curl(served, "/predictions/m", "-F", f"data=@{tmp_path / name}") == DOUBLED
        assert curl(served, "/predictions/m/2.0", "-F", f"body=@{tmp_path / name}") == DOUBLED


def test_curl_must_send_json_with_its_content_type(served: Served) -> None:
    assert curl(served, "/predictions/m", "-H", "Content-Type: application/json", "-d", "[1, 2]") == [2, 4]
    refusal = curl(served, "/predictions/m", "-d", "[1, 2]")  # curl sends this as a form
    assert (refusal["code"], refusal["type"]) == (400, "BadRequestException")
    assert "Content-Type: application/json" in refusal["message"]


def test_a_form_has_the_inputs_by_name(people: Served) -> None:
    expected = {"score": [0.22], "label": ["f"]}
    assert curl(people, "/predictions/people", "-F", "age=22", "-F", "sex=f") == expected
    assert curl(people, "/predictions/people", "-d", "age=22", "-d", "sex=f") == expected
    records = orjson.dumps([{"age": 22, "sex": "f"}, {"age": 50, "sex": "m"}]).decode()
    answer = curl(people, "/predictions/people", "-H", "content-type: application/json", "-d", records)
    assert answer == [expected, {"score": [0.5], "label": ["m"]}]


def test_errors_have_torchserves_form(client: httpx.Client) -> None:
    assert refused(client.post("/predictions/no", json=[1]), 404, "ModelNotFoundException") == "Model not found: no"
    message = refused(client.post("/predictions/m/9.9", json=[1]), 404, "ModelVersionNotFoundException")
    assert message == "Model version: 9.9 does not exist for model: m"
    for path in ("/predictions", "/predictions/", "/explanations", "/explanations/m/1/x/y"):
        refused(client.post(path), 404, "ResourceNotFoundException")
    message = refused(client.post("/predictions/m", json=[1, "a"]), 400, "BadRequestException")
    assert message == 'inputs[1]: got "a"; expected a number or null (float32[batch, 2])'
    refused(client.get("/predictions/m"), 400, "BadRequestException")
    big = b"[" + b" " * (33 * 2**20)
    refused(client.post("/predictions/m", content=big), 413, "BadRequestException")


GOLDEN = [
    ("POST", "/predictions/m", b"[[1,2],[3,4]]", b"[[2.0,4.0],[6.0,8.0]]"),
    ("POST", "/predictions/m", b'{"inputs":[1,0.5]}', b"[2.0,1.0]"),
    ("GET", "/ping", b"", b'{"status":"Healthy"}'),
    (
        "POST",
        "/predictions/no",
        b"[1]",
        b'{"code":404,"type":"ModelNotFoundException","message":"Model not found: no"}',
    ),
    (
        "POST",
        "/predictions/m",
        b"[1,",
        (
            b'{"code":400,"type":"BadRequestException","message":"body: got unexpected end of data at byte 3; '
            b'expected a JSON object in UTF-8"}'
        ),
    ),
]


@pytest.mark.parametrize(("method", "path", "body", "answer"), GOLDEN)
def test_response_bodies_are_exactly_these_bytes(
    client: httpx.Client, method: str, path: str, body: bytes, answer: bytes
) -> None:
    response = client.request(method, path, content=body, headers={"content-type": "application/json"})
    assert response.content == answer


@pytest.mark.parametrize("path", ["/explanations/m", "/explanations/m/2.0"])
def test_explanations_fail_as_in_a_torchserve_handler_without_explanations(
    client: httpx.Client, served: Served, path: str
) -> None:
    before = counts(served).get(("torchserve", "unsupported_operation", "client"), 0)
    assert refused(client.post(path, json=ROWS), 503, "InternalServerException").startswith("Prediction failed")
    assert counts(served)["torchserve", "unsupported_operation", "client"] == before + 1
    refused(client.post("/explanations/no", json=ROWS), 404, "ModelNotFoundException")


def test_ping_is_healthy_when_ready(client: httpx.Client) -> None:
    response = client.get("/ping")
    assert response.json() == {"status": "Healthy"}
    checked(response)


def test_ping_is_unhealthy_while_the_model_does_not_load(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"no model")
    with serving(tmp_path, tmp_path / "m.onnx", ready=False) as served:
        response = served.get("/ping")
        assert (response.status_code, response.json()) == (500, {"status": "Unhealthy"})


@pytest.mark.parametrize("path", ["/", "/predictions/m"])
def test_options_describes_the_api(client: httpx.Client, path: str) -> None:
    response = client.request("OPTIONS", path)
    assert response.json()["openapi"].startswith("3.")
    checked(response)
    refused(client.request("OPTIONS", "/predictions/no"), 404, "ModelNotFoundException")


def test_the_clients_request_id_is_the_only_one(client: httpx.Client) -> None:
    for path in ("/predictions/m", "/predictions/no"):
        response = client.post(path, json=ROWS, headers={"x-request-id": "mine"})
        assert response.headers.get_list("x-request-id") == ["mine"]


def test_requests_are_counted_under_torchserve(client: httpx.Client, served: Served) -> None:
    before = counts(served).get(("torchserve", "ok", "none"), 0)
    client.post("/predictions/m", json=ROWS)
    assert counts(served)["torchserve", "ok", "none"] == before + 1


@pytest.mark.parametrize("form", ["mar", "folder"])
def test_an_archive_has_the_name_and_version_of_its_manifest(tmp_path: Path, form: str) -> None:
    content = {"m.onnx": models.doubling(tmp_path / "made.onnx").read_bytes(), "handler.py": b"raise SystemExit"}
    described = manifest(name="other", version="1.5")
    if form == "mar":
        target = zipped(tmp_path / "file.mar", content, manifest_text=described)
    else:
        target = unpacked(tmp_path / "file", content)
        (target / "MAR-INF" / "MANIFEST.json").write_bytes(described)
    with serving(tmp_path, target) as served, served.client() as client:
        assert client.post("/predictions/other/1.5", json=ROWS).json() == DOUBLED
        assert client.get("/api/v1/models/other").json()["version"] == "1.5"
    mine = {"SCALEZERO_MODEL_NAME": "mine", "SCALEZERO_MODEL_VERSION": "7"}
    with serving(tmp_path, target, env=mine) as served, served.client() as client:
        assert client.post("/predictions/mine/7", json=ROWS).json() == DOUBLED


def test_an_archive_is_published_and_served_from_s3(tmp_path: Path, s3: S3Server) -> None:
    s3.make_bucket("archives")
    model = models.doubling(tmp_path / "made.onnx").read_bytes()
    target = zipped(tmp_path / "named.mar", {"m.onnx": model}, manifest_text=manifest(name="named", version="3.1"))
    publish = [str(COMMAND), "publish", str(target), "s3://archives/named.mar"]
    subprocess.run(publish, check=True, timeout=DEADLINE, env={**environment(tmp_path), **s3.environment()})
    with serving(tmp_path, "s3://archives/named.mar", env=s3.environment()) as served, served.client() as client:
        assert client.post("/predictions/named/3.1", json=ROWS).json() == DOUBLED


def test_an_archive_in_s3_has_the_names_of_its_file_and_its_manifest(tmp_path: Path, s3: S3Server) -> None:
    s3.make_bucket("archives")
    content = zipped(
        tmp_path / "made.mar", {"m.onnx": models.doubling(tmp_path / "made.onnx").read_bytes()}
    ).read_bytes()
    s3.client().put_object(Bucket="archives", Key="file.mar", Body=content)
    for load in ("lazy", "prefetch"):
        started = serving(tmp_path, "s3://archives/file.mar", env=s3.environment(), SCALEZERO_LOAD=load)
        with started as served, served.client() as client:
            assert client.post("/predictions/no", json=ROWS).status_code == 404
            for name in ("named", "file"):
                assert client.post(f"/predictions/{name}/1.5", json=ROWS).json() == DOUBLED
            assert client.post("/predictions/named/9", json=ROWS).status_code == 404


def test_an_archive_without_an_onnx_file_is_refused_and_its_code_does_not_run(tmp_path: Path) -> None:
    trap = f"open({str(tmp_path / 'ran')!r}, 'w')".encode()
    target = zipped(
        tmp_path / "named.mar", {"model.pt": b"x", "handler.py": trap}, manifest_text=manifest(file="model.pt")
    )
    with serving(tmp_path, target, ready=False) as served:
        until(served, "/healthz/ready", status=503)
        response = served.get("/predictions/named")
        assert "torch.onnx.export" in refused(response, 503, "ServiceUnavailableException")
    assert not (tmp_path / "ran").exists()


KINDS = [
    "application/json",
    "application/octet-stream",
    "application/x-npy",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=b",
    "multipart/form-data",
    "text/plain",
    ";;=",
    "",
]
PIECES = [b"[", b"]", b"{", b"}", b'"', b",", b"1", b"null", b"NaN", b"&", b"=", b"%ff", b"--b", b"--b--", b"\r\n"]
PIECES += [b'Content-Disposition: form-data; name="data"', b"\x93NUMPY\x01\x00v\x00", b"{'descr': '<f4', ", b"\xff\x00"]


@given(
    st.sampled_from(
        ["/predictions/m", "/predictions/%2e%2e/m", "/predictions/m/\ud7ff/x", "/invocations", "/m/predict"]
    ),
    st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
    st.sampled_from(KINDS),
    st.lists(st.sampled_from(PIECES) | st.binary(max_size=20), max_size=12).map(b"".join),
)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_no_request_is_a_server_error(client: httpx.Client, path: str, method: str, kind: str, body: bytes) -> None:
    response = client.request(method, path, content=body, headers={"content-type": kind} if kind else {})
    assert response.status_code in {200, 400, 404, 413}
    assert isinstance(response.json(), list if response.status_code == 200 else dict)
    checked(response)
