"""Tests of the measurements of protocols. A failed call or a wrong tensor is an error."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scripts.benchmarks import binary_tensors, grpc_methods, launches, metrics, resnet
from scripts.benchmarks.client import send_request, wait_for_first_answer
from scripts.benchmarks.faults import CannotMeasure
from scripts.benchmarks.figures import TARGETS
from scripts.benchmarks.grpc_client import check_calls
from scripts.benchmarks.grpc_methods import ML_V1, OPEN_INFERENCE, TENSORFLOW_SERVING, Method
from scripts.benchmarks.h2load import Outcome, Post, Version, h2load
from scripts.benchmarks.lab import Lab
from scripts.benchmarks.measures.every import PROTOCOLS
from scripts.benchmarks.measures.grpc_calls import HEADERS, STREAMS, answered_rate
from scripts.benchmarks.servers import Server, running
from scripts.benchmarks.subjects import Subject

CPU = min(os.sched_getaffinity(0))
SIZE = 16  # bytes of an answer
needs_h2load = pytest.mark.skipif(not shutil.which("h2load"), reason="h2load is not installed (Debian: nghttp2-client)")


@pytest.fixture
def server(linear: Subject, tmp_path: Path) -> Iterator[Server]:
    launch = launches.ours(linear, str(linear.path), str(tmp_path / "cache"), launches.BATCHING)
    with running(launch, cpu=CPU) as server:
        wait_for_first_answer(server, linear)
        yield server


def outcome(*, data: int) -> Outcome:
    return Outcome(rate=10.0, succeeded=1000, data=data, failures={})


class TestAnsweredRate:
    @given(off=st.integers(-STREAMS * SIZE, STREAMS * SIZE))
    def test_calls_in_flight_at_the_start_or_the_end_may_be_counted_partially(self, off: int) -> None:
        assert answered_rate(outcome(data=1000 * SIZE + off), SIZE) == 10.0

    @pytest.mark.parametrize("data", [0, 1000 * SIZE - STREAMS * SIZE - 1, 1000 * SIZE + STREAMS * SIZE + 1])
    def test_calls_without_a_message_are_an_error(self, data: int) -> None:
        with pytest.raises(CannotMeasure, match=f"answers of {data} bytes in total; expected 1000 of 16 bytes"):
            answered_rate(outcome(data=data), SIZE)

    @needs_h2load
    def test_calls_that_fail_with_http_status_200_are_an_error(self, server: Server, linear: Subject) -> None:
        size = len(grpc_methods.framed(check_calls(server, linear, ML_V1)))
        for body, valid in ((ML_V1.request(linear, linear.rows[0]), True), (b"no message", False)):
            post = Post(path=ML_V1.path, body=grpc_methods.framed(body), headers=HEADERS)
            got = h2load(server, post, version=Version.H2C, concurrency=4, seconds=1, cpu=CPU)
            assert got.checked_rate > 10
            if valid:
                assert answered_rate(got, size) > 10
                assert not metrics.failures(server)
            else:
                with pytest.raises(CannotMeasure, match="answers of 0 bytes"):
                    answered_rate(got, size)
                assert set(metrics.failures(server)) == {"ml.v1 invalid_input"}


class TestCheckCalls:
    @pytest.mark.parametrize(
        "method", [ML_V1, OPEN_INFERENCE, TENSORFLOW_SERVING], ids=["ml.v1", "v2", "tensorflow_serving"]
    )
    def test_each_row_gets_its_own_answer(self, method: Method, server: Server, linear: Subject) -> None:
        assert list(method.outputs(check_calls(server, linear, method))) == linear.answers[0]
        wrong = replace(linear, answers=[*linear.answers[:2], [7.0]])
        with pytest.raises(CannotMeasure, match=r"answered row 2 wrongly: \[6.0\]"):
            check_calls(server, wrong, method)

    def test_the_error_for_a_failed_call_has_its_status(self, server: Server, linear: Subject) -> None:
        other = replace(linear, path=Path("other.onnx"))
        with pytest.raises(CannotMeasure, match=r"scalezero: .*/Predict ended with NOT_FOUND"):
            check_calls(server, other, ML_V1)


class TestBinaryTensors:
    @pytest.mark.parametrize("index", range(3))
    def test_a_binary_request_gets_a_binary_answer(self, index: int, server: Server, linear: Subject) -> None:
        request = binary_tensors.request(linear.input_name, linear.rows[index], [3])
        reply = send_request(server, "POST", f"/v2/models/{linear.name}/infer", request.body, headers=request.headers)
        assert binary_tensors.outputs(reply.headers, reply.text) == linear.answers[index]

    def test_a_truncated_answer_is_an_error(self) -> None:
        head = b'{"outputs": [{"parameters": {"binary_data_size": 8}}]}'
        with pytest.raises(ValueError, match="got 4 bytes after the JSON header; expected 8"):
            binary_tensors.outputs({binary_tensors.LENGTH: str(len(head))}, head + bytes(4))


def test_requests_are_counted_by_protocol_and_code() -> None:
    labels = 'model="m",revision="",version="1",fault="none"'
    text = (
        "# TYPE scalezero_request_seconds histogram\n"
        f'scalezero_request_seconds_bucket{{{labels},protocol="ml.v1",code="ok",le="+Inf"}} 5.0\n'
        f'scalezero_request_seconds_count{{{labels},protocol="ml.v1",code="ok"}} 5.0\n'
        f'scalezero_request_seconds_count{{{labels},protocol="ml.v1",code="queue_full"}} 2.0\n'
    )
    assert metrics.parse(text) == {("ml.v1", "ok"): 5.0, ("ml.v1", "queue_full"): 2.0}


def test_resnet_50_has_the_size_of_the_original() -> None:
    model = resnet.build()
    weights = {each.name: int(np.prod(each.dims)) for each in model.graph.initializer}
    assert 25.5e6 < sum(weights.values()) < 25.7e6  # 25.6 million parameters
    assert [node.op_type for node in model.graph.node].count("Conv") == 53
    assert np.array(resnet.rows(2)).shape == (2, 3 * 224 * 224)


def test_the_memory_of_protocols_is_measured_end_to_end(lab: Lab) -> None:
    got = PROTOCOLS["protocols_memory"](lab)
    assert 0.5 < got.ratio < 2
    assert 0 < got.extra["used_mib"] < 100


@needs_h2load
def test_a_figure_is_measured_end_to_end(lab: Lab) -> None:
    got = PROTOCOLS["grpc_peer"](lab)
    assert got.pairs == 1
    assert got.target is TARGETS["grpc_peer"]
    assert got.floor > 10
    assert 0.1 < got.ratio < 100
