"""gRPC frames and messages that are truncated, corrupted or inconsistent. The status must be one of a client error."""

import gzip
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runtime.frontends.catalogue import PROTOCOLS, grpc_services
from runtime.protobuf import delimited
from tests.fuzz import law
from tests.fuzz.conftest import LIMIT
from tests.fuzz.messages import CALLS, frame
from tests.runtime.frontends.conftest import Served
from tests.runtime.http.h2_client import Caller, calling

MOUNTED = [each for each in PROTOCOLS if each.rest is None or not each.rest.part_of]  # others have their own ports
INVALID, NOT_FOUND, EXHAUSTED, UNIMPLEMENTED = 3, 5, 8, 12
DEADLINE = 4
SETTINGS = settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
METHODS = [f"/{each.service}/{method}" for each in grpc_services(MOUNTED) for method in (*each.methods, *each.streams)]
WATCH = "/grpc.health.v1.Health/Watch"  # its answer has no end
STREAMS = {f"/{each.service}/{method}" for each in grpc_services(MOUNTED) for method in each.streams}
ERRORS_IN_ANSWERS = {  # streams whose answers contain the errors of single messages
    "/inference.GRPCInferenceService/ModelStreamInfer",
    "/org.pytorch.serve.grpc.inference.InferenceAPIsService/StreamPredictions2",
}
UNKNOWN_FIELDS = delimited(2047, b"unknown") + b"\xf8\x7f\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" + b"\xfd\x7f\0\0\0\0"


@pytest.fixture
def caller(served: Served) -> Iterator[Caller]:
    with calling(served.port) as caller:
        yield caller


def call(caller: Caller, path: str, body: bytes, method: str = "POST", **fields: str) -> int:
    """Make a call with this body, check its answer, and return its status."""
    head = [("content-type", "application/grpc"), ("te", "trailers")]
    head += [(name.replace("_", "-"), value) for name, value in fields.items()]
    answer = caller.answer(caller.ask(path, body, method=method, fields=head))
    assert answer.reset in {None, 0}, answer
    headers, trailers = (
        {name.decode(): value.decode("latin-1") for name, value in each} for each in (answer.headers, answer.trailers)
    )
    return law.call(answer.status or 0, headers, trailers, answer.body)


def test_there_are_valid_messages_for_every_protocol() -> None:
    services = {each.service for protocol in MOUNTED for each in protocol.grpc}
    assert services <= {path.split("/")[1] for path in CALLS}
    assert set(CALLS) <= set(METHODS)


@pytest.mark.parametrize("path", CALLS)
def test_a_truncated_message_is_refused(caller: Caller, path: str) -> None:
    complete = frame(CALLS[path])
    for end in range(len(complete)):
        stream = path in STREAMS
        assert call(caller, path, complete[:end]) in ({0, INVALID} if stream and not end else {INVALID})


@pytest.mark.parametrize("path", CALLS)
@SETTINGS
@given(data=st.data())
def test_a_corrupted_message_is_no_server_error(served: Served, path: str, data: st.DataObject) -> None:
    message = bytearray(CALLS[path])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(message)))
        kind = data.draw(st.sampled_from(("set", "insert", "cut")))
        if kind == "insert":
            message[at:at] = data.draw(st.sampled_from((UNKNOWN_FIELDS, b"\xff" * 11, b"\0", b"\x80", b"\x0a\xff\x7f")))
        elif kind == "cut":
            del message[at : at + data.draw(st.integers(1, 5))]
        elif at < len(message):
            message[at] = data.draw(st.integers(0, 255))
    with calling(served.port) as caller:
        call(caller, path, frame(bytes(message)))


@pytest.mark.parametrize("path", [each for each in METHODS if each != WATCH])
def test_invalid_messages_and_frames_on_every_method(caller: Caller, path: str) -> None:
    valid = CALLS.get(path, b"")
    in_answer = {0} if path in ERRORS_IN_ANSWERS else set()
    assert call(caller, path, frame(valid, flag=2)) == INVALID
    assert call(caller, path, frame(valid, flag=1)) in {INVALID, *in_answer}  # compressed, without a grpc-encoding
    assert call(caller, path, frame(b"no gzip", flag=1), grpc_encoding="gzip") in {INVALID, *in_answer}
    truncated = gzip.compress(bytes(50))[:-9]
    assert call(caller, path, frame(truncated, flag=1), grpc_encoding="gzip") in {INVALID, *in_answer}
    assert call(caller, path, frame(valid, flag=1), grpc_encoding="snappy") in {UNIMPLEMENTED, *in_answer}
    assert call(caller, path, frame(valid, size=len(valid) + 1)) == INVALID
    assert call(caller, path, frame(b"", size=2**32 - 1)) in {INVALID, EXHAUSTED}
    call(caller, path, frame(b"\xff" * 20))
    call(caller, path, frame(valid + UNKNOWN_FIELDS))
    call(caller, path, frame(valid) * 2)
    call(caller, path, b"")


@pytest.mark.parametrize("path", [each for each in METHODS if each != WATCH])
def test_a_compression_bomb_and_a_message_beyond_the_limit_are_too_large(caller: Caller, path: str) -> None:
    bomb = gzip.compress(bytes(50 * LIMIT))
    in_answer = {0} if path in ERRORS_IN_ANSWERS else set()
    assert call(caller, path, frame(bomb, flag=1), grpc_encoding="gzip") in {EXHAUSTED, *in_answer}
    assert call(caller, path, frame(bytes(LIMIT + 1))) == EXHAUSTED


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/x",
        "/x/y",
        "/inference.GRPCInferenceService",
        "/inference.GRPCInferenceService/",
        "/ml.v1.InferenceService/predict",
        "/tensorflow.serving.PredictionService/SessionRun",
        "/%2e%2e/x",
        "/a//b",
        "/" + "x" * 10_000,
    ],
)
def test_unknown_methods_are_unimplemented(caller: Caller, path: str) -> None:
    assert call(caller, path, frame(b"")) == UNIMPLEMENTED


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_a_call_by_another_http_method_is_unimplemented(caller: Caller, method: str) -> None:
    for path in METHODS:
        assert call(caller, path, frame(CALLS.get(path, b"")), method) == UNIMPLEMENTED


@pytest.mark.parametrize(
    "value", ["", "S", "1", "-1S", "1.5S", "999999999S", "1x", "1S1S", "٣S".encode().decode("latin-1"), "0x1S"]
)
def test_an_invalid_timeout_is_refused(caller: Caller, value: str) -> None:
    for path in CALLS:
        assert call(caller, path, frame(CALLS[path]), grpc_timeout=value) in {0, INVALID, UNIMPLEMENTED}
    assert call(caller, "/ml.v1.InferenceService/Predict", frame(b""), grpc_timeout=value) == INVALID


@pytest.mark.parametrize("value", ["0n", "0S", "1n"])
def test_a_deadline_that_has_passed_is_reported(caller: Caller, value: str) -> None:
    for path in ("/ml.v1.InferenceService/Predict", "/inference.GRPCInferenceService/ModelStreamInfer"):
        assert call(caller, path, frame(CALLS[path]), grpc_timeout=value) in {DEADLINE, INVALID}
