"""The messages of TorchServe's gRPC methods."""

import base64
import contextlib

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InvalidInput, PayloadTooLarge, UnknownModel
from runtime.protocols.input_forms import Form
from runtime.protocols.protos import google_rpc_pb2 as rpc
from runtime.protocols.protos import torchserve_inference_pb2 as pb
from runtime.protocols.torchserve import calls
from runtime.protocols.torchserve.faults import refuse_call
from runtime.tensors import Prediction, Query
from tests.runtime.protocols.torchserve.requests import ONE, model


def message(**fields: object) -> bytes:
    content: bytes = pb.PredictionsRequest(**{"model_name": "m", **fields}).SerializeToString()  # type: ignore[arg-type]
    return content


def test_a_call_names_its_model_and_version() -> None:
    call = calls.Predictions().decode(message(model_version="2.0", input={"data": b"[1, 2]"}))
    assert (call.model, call.version) == ("m", "2.0")
    assert calls.Predictions().decode(message(input={"data": b"[1, 2]"})).version is None


def test_a_value_is_parsed_like_that_of_a_form() -> None:
    translator = calls.Predictions()
    [query] = translator.bind(translator.decode(message(input={"x": b"[[1, 2]]"})), model(ONE))
    assert query.tensors[0].tolist() == [[1, 2]]


def test_a_large_call_is_parsed_in_steps() -> None:
    body = orjson.dumps([[1, 2]] * 50_000)
    assert sum(1 for _ in calls.Predictions().decode_slices(message(input={"data": body}))) >= 4
    assert len(calls.Predictions().decode(message(input={"data": body})).parts.values[0][1].value) == 50_000


@pytest.mark.parametrize(
    ("content", "fault", "text"),
    [
        (b"\xff", InvalidInput, "invalid protobuf"),
        (message(model_name="", input={"data": b""}), InvalidInput, "model_name: got nothing"),
        (message(), InvalidInput, "input: got no value"),
        (message(input={str(number): b"" for number in range(257)}), PayloadTooLarge, "input: got 257 values"),
    ],
)
def test_an_invalid_message_is_refused(content: bytes, fault: type[Exception], text: str) -> None:
    with pytest.raises(fault, match=text):
        calls.Predictions().decode(content)


@pytest.mark.parametrize("rows", [1, 200, 30_000])
def test_an_answer_has_the_json_of_rest(rows: int) -> None:
    output = np.arange(rows * 2, dtype=np.float32).reshape(-1, 2)
    prediction = Prediction([output], model="m", version="1", arrived=0.0, queued=0.0, batched=0.0, ran=0.0)
    query = Query((), form=Form(one_row=False, by_name=False))
    answer = pb.PredictionResponse.FromString(
        calls.Predictions().encode([query], [prediction], model(ONE), latency=0.0)
    )
    assert orjson.loads(answer.prediction) == output.tolist()


@given(st.text(max_size=5))
def test_an_answer_has_the_sequence_id_of_its_request(sequence: str) -> None:
    translator = calls.Predictions()
    call = translator.decode(message(sequence_id=sequence, input={"data": b"[1, 2]"}))
    [query] = translator.bind(call, model(ONE))
    output = np.zeros((1, 2), np.float32)
    prediction = Prediction([output], model="m", version="1", arrived=0.0, queued=0.0, batched=0.0, ran=0.0)
    answer = pb.PredictionResponse.FromString(translator.encode([query], [prediction], model(ONE), latency=0.0))
    assert (answer.sequence_id, answer.prediction) == (sequence, b"[0.0,0.0]")


@pytest.mark.parametrize(("content", "sequence"), [(message(sequence_id="s"), "s"), (message(), ""), (b"\xff", "")])
def test_a_failed_request_of_a_stream_is_answered_with_a_status(content: bytes, sequence: str) -> None:
    answer = pb.PredictionResponse.FromString(calls.failed(UnknownModel("no", []), content))
    assert (answer.sequence_id, answer.HasField("sequence_id")) == (sequence, bool(sequence))
    assert (answer.status.code, answer.status.message) == (5, "Model not found: no")


def test_health_is_json() -> None:
    for healthy, word in ((True, "Healthy"), (False, "Unhealthy")):
        answer = pb.TorchServeHealthResponse.FromString(calls.health(healthy=healthy))
        assert orjson.loads(answer.health) == {"status": word}


def test_a_failed_call_has_torchserves_text_and_scalezeros_code() -> None:
    headers = dict(refuse_call(UnknownModel("no", ["m"])).headers)
    assert headers[b"grpc-status"] == b"5"
    assert headers[b"grpc-message"] == b"Model not found: no"
    details = rpc.Status.FromString(base64.b64decode(headers[b"grpc-status-details-bin"] + b"=="))
    assert details.message == "Model not found: no"


@given(st.binary(max_size=100), st.dictionaries(st.text(max_size=5), st.binary(max_size=40), max_size=3))
def test_any_message_is_parsed_or_refused(content: bytes, values: dict[str, bytes]) -> None:
    translator = calls.Predictions()
    for each in (content, message(input=values)):
        with contextlib.suppress(InvalidInput):
            translator.bind(translator.decode(each), model(ONE))
