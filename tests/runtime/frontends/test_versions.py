"""Several versions of one model in one process: each is addressed, listed and measured separately."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from prometheus_client.parser import text_string_to_metric_families

from runtime.protocols.protos import ml_v1_pb2 as pb
from tests import models
from tests.runtime.frontends.conftest import Served, serving
from tests.waiting import DEADLINE

INPUT = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}]}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Version 2 doubles its input, version 10 returns its input."""
    folder = tmp_path_factory.mktemp("versions")
    for version in ("2", "10"):
        (folder / "m" / version).mkdir(parents=True)
    models.doubling(folder / "m" / "2" / "model.onnx")
    models.identity(folder / "m" / "10" / "any.onnx", shape=("batch", 2))
    settings = {"MODEL_BASE_PATH": str(folder), "MODEL_NAME": "m", "SCALEZERO_MODEL_VERSIONS": "all"}
    with serving(folder, env=settings) as served:
        yield served


def inferred(served: Served, place: str) -> tuple[int, Any]:
    with served.client() as client:
        answer = client.post(f"/v2/models/{place}/infer", json=INPUT)
    return answer.status_code, answer.json()


@pytest.mark.parametrize(
    ("place", "version", "data"),
    [("m", "10", [1, 2]), ("m/versions/10", "10", [1, 2]), ("m/versions/2", "2", [2, 4])],
)
def test_a_request_gets_the_named_version_otherwise_the_highest(
    served: Served, place: str, version: str, data: list[int]
) -> None:
    status, document = inferred(served, place)
    assert (status, document["model_version"], document["outputs"][0]["data"]) == (200, version, data)


def test_an_unknown_version_is_404_and_lists_the_known_versions(served: Served) -> None:
    status, document = inferred(served, "m/versions/3")
    assert status == 404
    assert document == {"error": "version '3' of model 'm' is not served; served: 10, 2"}


def test_the_predict_api_uses_the_default_version_and_the_process_has_no_version_header(
    served: Served,
) -> None:
    answer = served.predict([[1, 2]])
    assert answer.json()["model_version"] == "10"
    assert "x-model-version" not in answer.headers


def test_every_version_is_listed(served: Served) -> None:
    listed = served.get("/api/v1/models").json()["models"]
    assert [(each["name"], each["version"], each["state"]) for each in listed] == [
        ("m", "10", "ready"),
        ("m", "2", "ready"),
    ]
    assert served.get("/api/v1/models/m").json()["versions"] == ["10", "2"]
    assert [served.get(f"/v2/models/m{place}").json()["versions"] for place in ("", "/versions/2")] == [["10", "2"]] * 2


def test_each_version_has_metrics(served: Served) -> None:
    for place in ("m/versions/2", "m/versions/10"):
        inferred(served, place)
    families = text_string_to_metric_families(served.get("/metrics").text)
    samples = [sample for family in families for sample in family.samples]
    counted = {each.labels["version"] for each in samples if each.name == "scalezero_run_seconds_count" and each.value}
    assert counted == {"2", "10"}


def test_a_protocol_without_versions_uses_the_default_version(served: Served) -> None:
    request = pb.PredictRequest(model_name="m", inputs=[1, 2]).SerializeToString()
    with grpc.insecure_channel(f"127.0.0.1:{served.port}") as channel:
        answer = channel.unary_unary("/ml.v1.InferenceService/Predict")(request, timeout=DEADLINE)
    assert list(pb.PredictResponse.FromString(answer).outputs) == [1, 2]


def test_readiness_names_the_version_that_is_not_ready(tmp_path: Path) -> None:
    for version in ("1", "2"):
        (tmp_path / "m" / version).mkdir(parents=True)
    models.doubling(tmp_path / "m" / "1" / "model.onnx")
    (tmp_path / "m" / "2" / "model.onnx").write_bytes(b"no model")
    settings = {"MODEL_BASE_PATH": str(tmp_path), "MODEL_NAME": "m", "SCALEZERO_MODEL_VERSIONS": "all"}
    with serving(tmp_path, ready=False, env=settings) as served:
        assert inferred(served, "m/versions/1")[0] == 200
        ready = served.get("/healthz/ready")
        while ready.json()["models"].keys() != {"m 2"}:
            ready = served.get("/healthz/ready")
        assert ready.status_code == 503
