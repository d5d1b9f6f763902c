"""Tests of the measurements of guests, with real guests in C, a real server and a real S3 server."""

from scripts.benchmarks import report
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.measures import wasm


def test_a_guest_computes_beside_the_predictor(lab: Lab) -> None:
    got = wasm.compute(lab, count=50)
    assert got.name == "compute_us"
    assert got.floor > 0
    assert got.extra["thread_us"] > 0
    assert got.extra["difference"] == got.ours - got.floor  # of one pair
    assert "difference" in report.document([got])["compute_us"]


def test_the_example_is_compared_with_the_predict_api_of_the_same_server(lab: Lab) -> None:
    got = wasm.request(lab, count=5)
    assert got.name == "request_ms"
    assert got.extra["difference"] == got.ours - got.floor


def test_a_start_with_compiled_code_in_s3_is_compared_with_one_without_a_guest(lab: Lab) -> None:
    got = wasm.cold(lab)
    assert got.name == "cold_ms"
    assert got.floor > 0
    assert got.extra["difference"] == got.ours - got.floor
