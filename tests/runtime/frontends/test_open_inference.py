"""The Open Inference Protocol over a real socket."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.protocols.protos import open_inference_pb2 as pb
from runtime.variants.cpu_class import cpu_class
from tests import models
from tests.runtime.frontends.conftest import Served, serving
from tests.waiting import DEADLINE


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A fast model: y = 2 x, with two numbers per row."""
    folder = tmp_path_factory.mktemp("served")
    with serving(folder, models.doubling(folder / "m.onnx")) as served:
        yield served


def infer(served: Served, body: bytes, path: str = "/v2/models/m/infer", **headers: str) -> httpx.Response:
    with served.client() as client:
        return client.post(path, content=body, headers=headers)


@pytest.mark.parametrize("rows", [1, 40_000])
def test_binary_and_json_are_bit_equal_to_the_predict_api(served: Served, rows: int) -> None:
    name = served.get("/v2/models/m").json()["inputs"][0]["name"]
    x = np.random.default_rng(0).random((rows, 2), np.float32)
    item = {"name": name, "datatype": "FP32", "shape": [rows, 2]}
    expected = np.float32(served.predict(x.tolist()).json()["outputs"]).tobytes()
    answer = infer(served, orjson.dumps({"inputs": [{**item, "data": x.tolist()}]}), "/v2/models/m/versions/1/infer")
    assert answer.status_code == 200, answer.text
    assert np.float32(answer.json()["outputs"][0]["data"]).tobytes() == expected
    item["parameters"] = {"binary_data_size": x.nbytes}
    head = orjson.dumps({"inputs": [item], "parameters": {"binary_data_output": True}})
    answer = infer(served, head + x.tobytes(), **{"Inference-Header-Content-Length": str(len(head))})
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.content[int(answer.headers["inference-header-content-length"]) :] == expected


def test_health_and_metadata(served: Served) -> None:
    assert served.get("/v2/health/live").json() == {"live": True}
    assert served.get("/v2/health/ready").json() == {"ready": True}
    assert served.get("/v2/models/m/versions/1/ready").json() == {"name": "m", "ready": True}
    assert served.get("/v2").json()["extensions"] == ["binary_tensor_data", "model_configuration", "statistics"]
    document = served.get("/v2/models/m").json()
    assert document["versions"] == ["1"]
    assert document["inputs"][0]["datatype"] == "FP32"
    assert document["inputs"][0]["shape"] == [-1, 2]
    assert document["parameters"] == {
        "cpu_class": cpu_class(),
        "variant": "original",
        "provider": "CPUExecutionProvider",
        "prepared": False,
    }


def test_statistics_and_configuration(served: Served) -> None:
    assert served.get("/v2/models/m/config").json()["max_batch_size"] == 32
    [one] = served.get("/v2/models/m/stats").json()["model_stats"]
    assert served.get("/v2/models/stats").json() == {"model_stats": [one]}
    assert served.get("/v2/models/m/versions/1/stats").json() == {"model_stats": [one]}


def test_a_model_may_have_the_name_of_a_path(tmp_path: Path) -> None:
    with serving(tmp_path, models.doubling(tmp_path / "stats.onnx")) as served:
        assert served.get("/v2/models/stats").json()["name"] == "stats"


@pytest.mark.parametrize(
    ("sent", "status"), [(b"", 200), (b'{"ready": true}', 200), (b"{", 400), (b'{"ready": 1}', 400)]
)
def test_the_index_can_be_filtered(served: Served, sent: bytes, status: int) -> None:
    answer = infer(served, sent, "/v2/repository/index")
    assert answer.status_code == status
    if status == 200:
        assert answer.json() == [{"name": "m", "version": "1", "state": "READY", "reason": ""}]
    else:
        assert list(answer.json()) == ["error"]


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/v2/repository/models/m/load", "deploy another revision"),
        ("/v2/cudasharedmemory/region/r/register", "does not support shared memory"),
        ("/v2/models/m/trace/setting", "when the process starts"),
    ],
)
def test_unsupported_operations_are_refused_with_the_reason(served: Served, path: str, reason: str) -> None:
    answer = infer(served, b"{}", path)
    assert answer.status_code == 404
    assert f"POST {path} is not supported" in answer.json()["error"]
    assert reason in answer.json()["error"]


@settings(deadline=None)
@given(sent=st.binary(max_size=60), length=st.none() | st.integers(-1, 70).map(str) | st.text("0x-.", max_size=3))
def test_invalid_requests_are_client_errors(served: Served, sent: bytes, length: str | None) -> None:
    stated = {} if length is None else {"Inference-Header-Content-Length": length}
    answer = infer(served, sent, **stated)
    assert answer.status_code in {200, 400}  # zeros may be valid binary rows of the only input
    assert answer.status_code == 400 or length is not None


@settings(deadline=None)
@given(sent=st.binary(max_size=60), as_frame=st.booleans())
def test_invalid_grpc_requests_are_client_errors(served: Served, sent: bytes, *, as_frame: bool) -> None:
    framed = b"\0" + len(sent).to_bytes(4, "big") + sent if as_frame else sent
    with served.client(http1=False, http2=True) as client:
        answer = client.post(
            "/inference.GRPCInferenceService/ModelInfer",
            content=framed,
            headers={"content-type": "application/grpc", "te": "trailers"},
        )
    assert answer.status_code == 200
    assert answer.headers["grpc-status"] in {"3", "5"}


class TestLazy:
    """A lazy model that is not loaded yet, over gRPC."""

    @pytest.fixture
    def lazy(self, tmp_path: Path) -> Iterator[Served]:
        with serving(tmp_path, models.doubling(tmp_path / "m.onnx"), SCALEZERO_LOAD="lazy") as served:
            yield served

    @pytest.fixture
    def channel(self, lazy: Served) -> Iterator[grpc.Channel]:
        with grpc.insecure_channel(f"127.0.0.1:{lazy.port}", [("grpc.enable_http_proxy", 0)]) as channel:
            yield channel

    def ask(self, channel: grpc.Channel, method: str, **fields: object) -> Any:  # noqa: ANN401 - a message
        call = channel.unary_unary(
            f"/inference.GRPCInferenceService/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=getattr(pb, f"{method}Response").FromString,
        )
        return call(getattr(pb, f"{method}Request")(**fields), timeout=DEADLINE)

    def test_readiness_does_not_load_the_model(self, lazy: Served, channel: grpc.Channel) -> None:
        assert not self.ask(channel, "ModelReady", name="m").ready
        assert lazy.get("/v2/models/m/ready").status_code == 503
        assert lazy.get("/v2/models/m/ready").json() == {"name": "m", "ready": False}
        [entry] = self.ask(channel, "RepositoryIndex").models
        assert (entry.state, entry.reason) == ("UNAVAILABLE", "the first request loads it")
        assert not self.ask(channel, "RepositoryIndex", ready=True).models

    @pytest.mark.parametrize("method", ["ModelMetadata", "ModelConfig"])
    def test_metadata_and_configuration_load_the_model(self, channel: grpc.Channel, method: str) -> None:
        answer = self.ask(channel, method, name="m")
        assert (answer.config if method == "ModelConfig" else answer).name == "m"
        assert self.ask(channel, "ModelReady", name="m").ready

    def test_another_version_than_the_files_is_not_found_after_the_load(self, channel: grpc.Channel) -> None:
        with pytest.raises(grpc.RpcError) as raised:
            self.ask(channel, "ModelMetadata", name="m", version="9")
        assert raised.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("path", "status"),
    [("/v2/nothing", 404), ("/v2/models/z", 404), ("/v2/models/m/versions/9/ready", 404), ("/v2/models/m/infer", 405)],
)
def test_every_error_below_v2_has_the_protocols_form(served: Served, path: str, status: int) -> None:
    answer = served.get(path)
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    assert isinstance(answer.json()["error"], str)
