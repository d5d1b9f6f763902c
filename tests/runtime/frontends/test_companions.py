"""A process with a main model and a companion: real models in S3, a real server, every protocol."""

import json
import subprocess
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import grpc
import numpy as np
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests import models
from tests.conformance.dialects import Dialect, served_dialects
from tests.runtime.frontends.conftest import COMMAND, Served, environment, serving, until
from tests.runtime.frontends.test_functions import framework
from tests.s3_server import S3Server
from tests.waiting import DEADLINE, eventually

MAIN = """
from runtime.author import model


def handle(request):
    first = model().predict(request.get_json()["rows"])
    second = model("m").predict(first.outputs["y"])
    return {"rows": second.outputs["y"].tolist(), "models": [[a.model_name, a.model_version] for a in (first, second)]}
"""
BUCKET = "s3://companions"
SHOP, READER = f"{BUCKET}/shop.onnx", f"{BUCKET}/reader.onnx"  # y = x and y = 2 x


@pytest.fixture(scope="module")
def digest(s3: S3Server, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Store both models, and return the digest of the companion's."""
    folder = tmp_path_factory.mktemp("models")
    s3.put(SHOP, models.identity(folder / "shop.onnx", shape=("batch", 2)).read_bytes())
    reader = models.doubling(folder / "reader.onnx").read_bytes()
    s3.put(READER, reader)
    return sha256(reader).hexdigest()


def settings(s3: S3Server, *, sha256: str | None = None, uri: str = READER, **more: str) -> dict[str, str]:
    """Return the variables of a pod: the main model `shop` in version 1.0, the companion `m` in version 7.0."""
    companion = {"name": "m", "version": "7.0", "uri": uri, "sha256": sha256, "batchSize": 4}
    return {
        **s3.environment(),
        "SCALEZERO_MODEL_URI": SHOP,
        "SCALEZERO_MODEL_NAME": "shop",
        "SCALEZERO_MODEL_VERSION": "1.0",
        "SCALEZERO_BATCH_SIZE": "16",
        "SCALEZERO_COMPANIONS": json.dumps([{name: value for name, value in companion.items() if value is not None}]),
        **more,
    }


@pytest.fixture(scope="module")
def served(s3: S3Server, digest: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("served"), env=settings(s3, sha256=digest)) as served:
        yield served


@pytest.mark.parametrize("dialect", served_dialects(), ids=str)
def test_every_protocol_asks_a_companion_by_its_name(served: Served, dialect: Dialect) -> None:
    rows = np.array([[1.0, 2.0], [3.0, 4.0]], np.float32)
    assert dialect.send(served, rows).output.tolist() == [[2.0, 4.0], [6.0, 8.0]]


def test_a_request_that_names_no_model_is_for_the_main_model(served: Served) -> None:
    with served.client() as client:
        assert client.post("/invocations", json=[[1.0, 2.0]]).json() == [[1.0, 2.0]]
        assert client.post("/invocations?model_name=m", json=[[1.0, 2.0]]).json() == [[2.0, 4.0]]


def test_the_main_model_is_the_first_in_every_list(served: Served) -> None:
    with served.client() as client:
        summaries = client.get("/api/v1/models").json()["models"]
        assert [each["name"] for each in client.post("/v2/repository/index").json()] == ["shop", "m"]
        assert client.get("/v1/models").json() == {"models": ["shop", "m"]}
    assert [(each["name"], each["version"], each["state"]) for each in summaries] == [
        ("shop", "1.0", "ready"),
        ("m", "7.0", "ready"),
    ]


def test_each_model_has_its_own_description_and_batching(served: Served, digest: str) -> None:
    main, companion = (served.get(f"/api/v1/models/{name}").json() for name in ("shop", "m"))
    assert (main["batching"]["batch_size"], companion["batching"]["batch_size"]) == (16, 4)
    assert (companion["uri"], companion["sha256"]) == (READER, digest)
    assert served.get("/v2/models/m").json()["versions"] == ["7.0"]


def test_the_openapi_document_has_the_routes_of_both_models(served: Served) -> None:
    document = served.get("/openapi.json").json()
    assert {"/api/v1/models/shop/predict", "/api/v1/models/m/predict", "/v2/models/m/infer"} <= set(document["paths"])
    assert document["info"]["version"] == "1.0"


def test_the_header_has_the_version_of_the_main_model_and_the_answer_that_of_its_own(served: Served) -> None:
    response = served.predict([[1.0, 2.0]], model="m")
    assert (response.headers["x-model-version"], response.json()["model_version"]) == ("1.0", "7.0")


def test_each_model_has_its_own_metrics(served: Served) -> None:
    for name in ("shop", "m"):
        assert served.predict([[1.0, 2.0]], model=name).status_code == 200
    text = served.get("/metrics").text
    for name, version in (("shop", "1.0"), ("m", "7.0")):
        labels = [line for line in text.splitlines() if line.startswith("scalezero_request_seconds_count{")]
        assert any(f'model="{name}"' in line and f'version="{version}"' in line for line in labels)


def test_a_function_runs_one_model_after_the_other(s3: S3Server, digest: str, tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(MAIN)
    variables = settings(s3, sha256=digest, FUNCTION_SOURCE=str(tmp_path / "main.py"))
    with serving(tmp_path, env=variables) as served, served.client() as client:
        document = client.post("/", json={"rows": [[1.0, 2.0]]}).json()
        counts = [line for line in client.get("/metrics").text.splitlines() if 'protocol="function"' in line]
    assert document == {"rows": [[2.0, 4.0]], "models": [["shop", "1.0"], ["m", "7.0"]]}
    assert counts
    assert all('model="shop"' in line for line in counts)  # an answer of the function counts once


def test_a_lazy_process_loads_each_model_at_its_first_use(s3: S3Server, digest: str, tmp_path: Path) -> None:
    with serving(tmp_path, "--lazy", env=settings(s3, sha256=digest)) as served:

        def states() -> list[str]:
            return [each["state"] for each in served.get("/api/v1/models").json()["models"]]

        assert states() == ["not_loaded", "not_loaded"]
        assert served.predict([[1.0, 2.0]], model="m").json()["outputs"] == [[2.0, 4.0]]
        assert states() == ["not_loaded", "ready"]
        assert served.predict([[1.0, 2.0]], model="shop").json()["outputs"] == [[1.0, 2.0]]
        assert states() == ["ready", "ready"]


@pytest.mark.parametrize(
    ("change", "code"),
    [({"uri": f"{BUCKET}/none.onnx"}, "artifact_missing"), ({"sha256": "0" * 64}, "digest_mismatch")],
)
@pytest.mark.usefixtures("digest")
def test_readiness_waits_for_a_companion_and_names_it(
    s3: S3Server, tmp_path: Path, change: dict[str, str], code: str
) -> None:
    with serving(tmp_path, ready=False, env=settings(s3, **change)) as served:
        until(served, "/v2/models/shop/ready")
        until(served, "/healthz/ready", status=503)
        document = _reported(served)
        assert list(document["models"]) == ["m"]
        assert document["models"]["m"]["code"] == code
        assert served.get("/v2/health/ready").status_code != 200
        assert served.predict([[1.0, 2.0]], model="shop").status_code == 200
        with served.channel() as channel:
            assert [_health(channel, name) for name in ("", "shop", "m")] == [2, 1, 2]


def _reported(served: Served) -> dict[str, dict[str, dict[str, str]]]:
    """Wait until the first attempt to load the companion has failed, and return the reasons of the readiness probe."""

    def reasons() -> dict[str, dict[str, dict[str, str]]]:
        document: dict[str, dict[str, dict[str, str]]] = served.get("/healthz/ready").json()
        return document

    eventually(lambda: all(each["code"] not in {"loading", "not_loaded"} for each in reasons()["models"].values()))
    return reasons()


def _health(channel: grpc.Channel, name: str) -> int:
    request = health_pb2.HealthCheckRequest(service=name)
    status: int = health_pb2_grpc.HealthStub(channel).Check(request).status
    return status


@pytest.mark.usefixtures("digest")
def test_a_pod_ends_if_no_retry_can_load_a_companion_and_the_log_names_it(s3: S3Server, tmp_path: Path) -> None:
    variables = settings(s3, uri=f"{BUCKET}/none.onnx", SCALEZERO_LOAD_FAILURE="exit")
    done = subprocess.run(
        [COMMAND, "serve", "--host", "127.0.0.1", "--port", "0"],
        env={**environment(tmp_path), **variables},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 1
    errors = [json.loads(line) for line in (done.stdout + done.stderr).splitlines() if '"ERROR"' in line]
    assert [(each["message"], each["model"], each["code"]) for each in errors] == [
        ("model not loaded", "m", "artifact_missing")
    ]


def test_a_companion_that_can_never_be_served_stops_the_start(s3: S3Server, tmp_path: Path) -> None:
    done = subprocess.run(
        [COMMAND, "serve", "--port", "0"],
        env={**environment(tmp_path), **settings(s3, uri="none.onnx")},
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("scalezero: SCALEZERO_COMPANIONS='none.onnx': expected an ONNX file")
    assert done.stderr.rstrip().endswith(", as the uri of m")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A function with two versions of the main model `shop`, and one file of the two versions of `m`."""
    function = tmp_path / "function"
    function.mkdir()
    (function / "main.py").write_text(MAIN)
    (function / "func.yaml").write_text("specVersion: 0.36.0\nname: shop\ncreated: 2026-11-23T00:00:00Z\n")
    version = (
        "---\napiVersion: ml.example.com/v1\nkind: ModelVersion\nmetadata: {{name: {0}-v{1}}}\n"
        "spec: {{modelName: {0}, version: '{1}.0', format: onnx, storage: {{type: file, path: {0}-v{1}.onnx}}}}\n"
    )
    named = [(name, number) for name in ("m", "shop") for number in (1, 2)]
    (function / "model.yaml").write_text("".join(version.format(*each) for each in named))
    models.doubling(function / "m-v2.onnx")  # the older version of the companion is not needed
    for number in (1, 2):
        models.identity(function / f"shop-v{number}.onnx", shape=("batch", 2))
    return function


def test_a_folder_serves_its_main_model_and_the_newest_version_of_each_other_model(
    tmp_path: Path, folder: Path
) -> None:
    with serving(tmp_path, folder, "--model-version", "shop-v2") as served, served.client() as client:
        document = client.post("/", json={"rows": [[1.0, 2.0]]}).json()
    assert document == {"rows": [[2.0, 4.0]], "models": [["shop", "2.0"], ["m", "2.0"]]}


def test_the_models_of_a_folder_are_served_under_the_plain_functions_framework(tmp_path: Path, folder: Path) -> None:
    with framework(tmp_path, folder / "main.py", env={}) as served, served.client() as client:
        document = client.post("/", json={"rows": [[1.0, 2.0]]}).json()
    assert document == {"rows": [[2.0, 4.0]], "models": [["shop", "1.0"], ["m", "2.0"]]}
