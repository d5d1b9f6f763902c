"""Large and compressed bodies over a real socket: the outputs are bit-equal, and other requests are not blocked."""

import gzip
import time
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import orjson
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests import models
from tests.runtime.frontends.conftest import Served, error_of, serving

PATH = "/api/v1/models/m/predict"
ROWS = 100_000
BOTH = pytest.mark.parametrize("http2", [False, True], ids=["HTTP/1.1", "HTTP/2"])
LIMIT = 32 * 2**20  # bytes of a body, by default
JSON = {"content-type": "application/json"}


@pytest.fixture(scope="module", params=[False, True], ids=["HTTP/1.1", "HTTP/2"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, bool]]:
    """A model of y = 2 x with two numbers per row, and whether to use HTTP/2."""
    folder = tmp_path_factory.mktemp("doubling")
    with serving(folder, models.doubling(folder / "m.onnx")) as served:
        yield served, request.param


def ask(served: Served, body: bytes, *, http2: bool = False, **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with served.client(http1=not http2, http2=http2) as client:
        return client.post(PATH, content=body, headers=JSON | {"accept-encoding": "identity"} | named)


def numbers(seed: int, *shape: int) -> np.ndarray:
    """Return random float32 values of many magnitudes."""
    random = np.random.default_rng(seed)
    exact: np.ndarray = (random.standard_normal(shape) * 10.0 ** random.integers(-20, 20, shape)).astype(np.float32)
    return exact


def dumped(document: object) -> bytes:
    return orjson.dumps(document, option=orjson.OPT_SERIALIZE_NUMPY)


@pytest.mark.parametrize("form", ["rows", "named", "records"])
def test_large_rows_have_bit_equal_outputs(served: tuple[Served, bool], form: str) -> None:
    rows = numbers(1, 50_000 if form == "records" else ROWS, 2)
    right = (rows + rows).astype(np.float64)
    inputs = {"rows": rows, "named": {"x": rows}, "records": [{"x": row} for row in rows]}[form]
    body = dumped({"inputs": inputs})
    assert len(body) > 2**20
    response = ask(served[0], body, http2=served[1])
    assert response.status_code == 200, response.text[:300]
    outputs = response.json()["outputs"]
    np.testing.assert_array_equal(np.array(outputs if form == "rows" else outputs["y"], np.float32), right)


@pytest.mark.parametrize(
    ("element", "values"),
    [
        (models.INT64, np.random.default_rng(2).integers(-(2**63), 2**63 - 1, 120_000).tolist()),
        (models.STRING, [f'"{number}" \\ \n ü 你好 {"x" * (number % 90)}' for number in range(40_000)]),
    ],
    ids=["integers", "strings"],
)
@BOTH
def test_a_long_column_is_answered_in_its_form(
    tmp_path: Path,
    element: int,
    values: list[object],
    http2: bool,  # noqa: FBT001 - a parameter of the table
) -> None:
    with serving(tmp_path, models.identity(tmp_path / "m.onnx", element=element, shape=["n"])) as served:
        body = dumped({"inputs": values})
        assert len(body) > 2**20
        assert ask(served, body, http2=http2).json()["outputs"] == values


@pytest.mark.parametrize(
    ("coding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes)]
)
@pytest.mark.parametrize("rows", [1, ROWS])
def test_a_compressed_body_gets_the_same_response(
    served: tuple[Served, bool], coding: str, compress: Callable[[bytes], bytes], rows: int
) -> None:
    body = dumped({"inputs": numbers(3, rows, 2)})
    plain = ask(served[0], body, http2=served[1])
    response = ask(served[0], compress(body), http2=served[1], content_encoding=coding, x_request_id="a-1")
    assert response.status_code == plain.status_code == 200
    assert response.json()["outputs"] == plain.json()["outputs"]
    assert response.headers["x-request-id"] == "a-1"
    assert response.headers["x-model-version"] == "1"
    assert set(response.headers) >= {"server-timing", "date"}


@pytest.mark.parametrize("rows", [400, ROWS])
def test_a_response_is_compressed_if_the_client_accepts_gzip(served: tuple[Served, bool], rows: int) -> None:
    body = dumped({"inputs": numbers(4, rows, 2)})
    plain = ask(served[0], body, http2=served[1])
    packed = ask(served[0], body, http2=served[1], accept_encoding="gzip")
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["vary"] == "accept-encoding"
    assert packed.json()["outputs"] == plain.json()["outputs"]


def test_an_unknown_coding_is_415_and_lists_the_known_ones(served: tuple[Served, bool]) -> None:
    error = error_of(ask(served[0], b"x", http2=served[1], content_encoding="br"), 415)
    assert (error["code"], error["details"]) == (
        "unsupported_encoding",
        {"supported": ["gzip", "deflate", "identity"]},
    )


@pytest.mark.parametrize("body", [b"{}", gzip.compress(b'{"inputs":[1,2]}', mtime=0)[:-9], b"\x1f\x8b"])
def test_a_body_that_does_not_match_its_coding_is_400(served: tuple[Served, bool], body: bytes) -> None:
    error = error_of(ask(served[0], body, http2=served[1], content_encoding="gzip"), 400)
    assert error["details"]["field"] == "body"


def test_the_body_limit_applies_to_the_decompressed_body(served: tuple[Served, bool]) -> None:
    body = gzip.compress(b" " * (LIMIT + 1))
    assert len(body) < 50_000
    error = error_of(ask(served[0], body, http2=served[1], content_encoding="gzip"), 413)
    assert error["details"] == {"limit": LIMIT, "unit": "bytes"}


@BOTH
def test_decompressed_bodies_count_in_the_memory_budget(tmp_path: Path, http2: bool) -> None:  # noqa: FBT001 - a parameter
    mebibyte = gzip.compress(b" " * 2**20)
    settings = {"SCALEZERO_MAX_BODY_BYTES": str(2**20), "SCALEZERO_MAX_BUFFERED_BYTES": str(2**20)}
    with serving(tmp_path, models.doubling(tmp_path / "m.onnx"), env=settings) as served:
        beyond = ask(served, mebibyte, http2=http2, content_encoding="gzip")
        assert (
            error_of(beyond, 503)["code"] == "overloaded"
        )  # the compressed and the decompressed body exceed the budget
        assert int(beyond.headers["retry-after"]) >= 1
        for _ in range(3):  # the counted bytes are released
            small = ask(served, gzip.compress(b'{"inputs":[1,2]}' + b" " * 900_000), content_encoding="gzip")
            assert small.json()["outputs"] == [2, 4]


HOSTILE = {  # each with the field in the error; "body" for a body that exceeds the limits of JSON bodies
    "ragged": (b'{"inputs":[' + b"[1]," * 40_000 + b"[1,1]]}", "inputs[40000]"),
    "ragged at once": (b'{"inputs":[[1],' + b"[1,2]," * 40_000 + b"[1,1]]}", "inputs[1]"),
    "a late string": (b'{"inputs":[' + b"[1,2]," * 40_000 + b'["a",2]]}', "inputs[40000][0]"),
    "objects": (b'{"inputs":[' + b"{}," * 40_000 + b"{}]}", "inputs[0].x"),
    "too many rows that differ": (b'{"inputs":[' + b"[1]," * 1_500_000 + b"[1,1]]}", "body"),
    "too many objects": (b'{"inputs":[' + b"{}," * 2_000_000 + b"{}]}", "body"),
    "one key": (b'{"' + b"k" * 6_000_000 + b'":1}', "body"),
    "deep": (b'{"inputs":' + b"[" * 3_000_000 + b"]" * 3_000_000 + b"}", "body"),
    "no end": (b'{"inputs":[' + b"[1,2]," * 1_000_000, "body"),
}


@pytest.mark.parametrize("name", list(HOSTILE))
def test_a_large_invalid_body_is_refused_with_the_field_and_does_not_block_other_requests(
    served: tuple[Served, bool], name: str
) -> None:
    body, field = HOSTILE[name]
    for _ in range(3):  # the client may wait for a CPU once
        probes = []
        with ThreadPoolExecutor(1) as callers, served[0].client() as client:
            asked = time.perf_counter()
            pending = callers.submit(ask, served[0], body, http2=served[1])
            while not pending.done():
                began = time.perf_counter()
                assert client.get("/healthz/live").status_code == 200
                probes.append(time.perf_counter() - began)
            whole = time.perf_counter() - asked
            error = error_of(pending.result(), 400)
        assert error["details"]["field"] == field
        assert len(pending.result().content) < 2000
        # 50 ms on an idle machine; without slices, several seconds: almost all of the time of the large request
        if max(probes, default=0) < max(1.0, whole / 2):
            return
    pytest.fail(f"a probe took {max(probes):g} s of {whole:g} s")


def test_large_requests_are_counted_with_their_code(served: tuple[Served, bool]) -> None:
    def counted(code: str) -> float:
        families = text_string_to_metric_families(served[0].get("/metrics").text)
        return sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == "scalezero_request_seconds_count" and sample.labels["code"] == code
        )

    before = counted("ok")
    ask(served[0], dumped({"inputs": numbers(5, 20_000, 2)}), http2=served[1])
    assert counted("ok") == before + 1


def test_a_large_response_that_is_not_read_does_not_block_other_requests(served: tuple[Served, bool]) -> None:
    """One connection does not read its response of several MiB; requests of another connection are answered."""
    body = dumped({"inputs": numbers(6, ROWS, 2)})
    with (
        served[0].client(http1=not served[1], http2=served[1]) as slow,
        slow.stream("POST", PATH, content=body, headers=JSON) as response,
    ):
        assert response.status_code == 200
        assert served[0].predict([1, 2]).json()["outputs"] == [2, 4]
        assert len(response.read()) > 2**20
