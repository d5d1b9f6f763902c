"""gRPC frames and messages that are cut, spoilt and lying: the status says that it is the client's fault."""

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

MOUNTED = [each for each in PROTOCOLS if each.rest is None or not each.rest.part_of]  # the others have their own ports
INVALID, NOT_FOUND, EXHAUSTED, UNIMPLEMENTED = 3, 5, 8, 12
DEADLINE = 4
SETTINGS = settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
METHODS = [f"/{each.service}/{method}" for each in grpc_services(MOUNTED) for method in (*each.methods, *each.streams)]
WATCH = "/grpc.health.v1.Health/Watch"  # its answer has no end
STREAMS = {f"/{each.service}/{method}" for each in grpc_services(MOUNTED) for method in each.streams}
TELLS_WITHIN = {  # their answers hold the errors of single messages
    "/inference.GRPCInferenceService/ModelStreamInfer",
    "/org.pytorch.serve.grpc.inference.InferenceAPIsService/StreamPredictions2",
}
UNKNOWN_FIELDS = delimited(2047, b"unknown") + b"\xf8\x7f\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01" + b"\xfd\x7f\0\0\0\0"


@pytest.fixture
def caller(served: Served) -> Iterator[Caller]:
    with calling(served.port) as caller:
        yield caller


def ask(caller: Caller, path: str, body: bytes, method: str = "POST", **fields: str) -> int:
    """Make a call of this body, hold its answer against the law, and return its status."""
    head = [("content-type", "application/grpc"), ("te", "trailers")]
    head += [(name.replace("_", "-"), value) for name, value in fields.items()]
    answer = caller.answer(caller.ask(path, body, method=method, fields=head))
    assert answer.reset in {None, 0}, answer
    headers, trailers = (
        {name.decode(): value.decode("latin-1") for name, value in each} for each in (answer.headers, answer.trailers)
    )
    return law.call(answer.status or 0, headers, trailers, answer.body)


def test_the_good_messages_are_of_every_protocol() -> None:
    services = {each.service for protocol in MOUNTED for each in protocol.grpc}
    assert services <= {path.split("/")[1] for path in CALLS}
    assert set(CALLS) <= set(METHODS)


@pytest.mark.parametrize("path", CALLS)
def test_a_message_cut_anywhere_is_refused(caller: Caller, path: str) -> None:
    whole = frame(CALLS[path])
    for end in range(len(whole)):
        stream = path in STREAMS
        assert ask(caller, path, whole[:end]) in ({0, INVALID} if stream and not end else {INVALID})


@pytest.mark.parametrize("path", CALLS)
@SETTINGS
@given(data=st.data())
def test_a_spoilt_message_is_no_fault_of_ours(served: Served, path: str, data: st.DataObject) -> None:
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
        ask(caller, path, frame(bytes(message)))


@pytest.mark.parametrize("path", [each for each in METHODS if each != WATCH])
def test_garbage_and_lying_frames_on_every_method(caller: Caller, path: str) -> None:
    good = CALLS.get(path, b"")
    within = {0} if path in TELLS_WITHIN else set()
    assert ask(caller, path, frame(good, flag=2)) == INVALID
    assert ask(caller, path, frame(good, flag=1)) in {INVALID, *within}  # compressed, by no coding that it names
    assert ask(caller, path, frame(b"no gzip", flag=1), grpc_encoding="gzip") in {INVALID, *within}
    cut_off = gzip.compress(bytes(50))[:-9]
    assert ask(caller, path, frame(cut_off, flag=1), grpc_encoding="gzip") in {INVALID, *within}
    assert ask(caller, path, frame(good, flag=1), grpc_encoding="snappy") in {UNIMPLEMENTED, *within}
    assert ask(caller, path, frame(good, size=len(good) + 1)) == INVALID
    assert ask(caller, path, frame(b"", size=2**32 - 1)) in {INVALID, EXHAUSTED}
    ask(caller, path, frame(b"\xff" * 20))
    ask(caller, path, frame(good + UNKNOWN_FIELDS))
    ask(caller, path, frame(good) * 2)
    ask(caller, path, b"")


@pytest.mark.parametrize("path", [each for each in METHODS if each != WATCH])
def test_a_bomb_and_a_message_beyond_the_limit_are_too_large(caller: Caller, path: str) -> None:
    bomb = gzip.compress(bytes(50 * LIMIT))
    within = {0} if path in TELLS_WITHIN else set()
    assert ask(caller, path, frame(bomb, flag=1), grpc_encoding="gzip") in {EXHAUSTED, *within}
    assert ask(caller, path, frame(bytes(LIMIT + 1))) == EXHAUSTED


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
def test_methods_that_are_not_there_are_unimplemented(caller: Caller, path: str) -> None:
    assert ask(caller, path, frame(b"")) == UNIMPLEMENTED


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "OPTIONS"])
def test_a_call_by_another_http_method_is_unimplemented(caller: Caller, method: str) -> None:
    for path in METHODS:
        assert ask(caller, path, frame(CALLS.get(path, b"")), method) == UNIMPLEMENTED


@pytest.mark.parametrize(
    "value", ["", "S", "1", "-1S", "1.5S", "999999999S", "1x", "1S1S", "٣S".encode().decode("latin-1"), "0x1S"]
)
def test_a_timeout_that_is_none_is_refused(caller: Caller, value: str) -> None:
    for path in CALLS:
        assert ask(caller, path, frame(CALLS[path]), grpc_timeout=value) in {0, INVALID, UNIMPLEMENTED}
    assert ask(caller, "/ml.v1.InferenceService/Predict", frame(b""), grpc_timeout=value) == INVALID


@pytest.mark.parametrize("value", ["0n", "0S", "1n"])
def test_a_deadline_that_has_passed_is_told(caller: Caller, value: str) -> None:
    for path in ("/ml.v1.InferenceService/Predict", "/inference.GRPCInferenceService/ModelStreamInfer"):
        assert ask(caller, path, frame(CALLS[path]), grpc_timeout=value) in {DEADLINE, INVALID}
