"""ml.v1: lists of numbers to a model's input and back, and the models that it refuses."""

from contextlib import suppress
from typing import Any, cast

import numpy as np
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InvalidInput, PayloadTooLarge, QueueFull, ScalezeroError, UnknownModel
from runtime.model.signature import Signature
from runtime.predictor import ReadyModel
from runtime.protobuf import delimited
from runtime.protocols import ml_v1
from runtime.protocols.protos import ml_v1_pb2 as pb
from runtime.tensors import STRING, Call, Prediction, Query, TensorSpec
from tests.runtime.tensor_specs import spec


def model(*inputs: TensorSpec, outputs: tuple[TensorSpec, ...] = (spec("y", ("n", 1)),)) -> ReadyModel:
    signature = Signature(inputs, outputs)
    return ReadyModel("m", "1", cast("Any", None), signature, cast("Any", None))


LARGE = 20_000  # numbers of a message that protobuf does not parse at once
ROWS = model(spec("x", ("n", 3)))


def bound(ready: ReadyModel, *numbers: float) -> np.ndarray:
    message = pb.PredictRequest(model_name="m", inputs=numbers).SerializeToString()
    [query] = ml_v1.Predict().bind(ml_v1.Predict().decode(message), ready)
    [tensor] = query.tensors
    return tensor


def refused(ready: ReadyModel, *numbers: float) -> InvalidInput:
    with pytest.raises(InvalidInput) as raised:
        bound(ready, *numbers)
    return raised.value


def encoded(ready: ReadyModel, *outputs: np.ndarray, latency: float = 0.0) -> bytes:
    prediction = Prediction(outputs, model="m", version="1", arrived=0, queued=0, batched=0, ran=0)
    return b"".join(ml_v1.Predict().encode([Query(())], [prediction], ready, latency=latency))


@given(name=st.text(max_size=20), numbers=st.lists(st.floats(width=32), max_size=600))
def test_a_request_is_parsed_as_protobuf_wrote_it(name: str, numbers: list[float]) -> None:
    call = ml_v1.Predict().decode(pb.PredictRequest(model_name=name, inputs=numbers).SerializeToString())
    assert (call.model, call.version) == (name, None)
    assert call.parts.dtype == np.float32
    assert call.parts.tobytes() == np.array(numbers, np.float32).tobytes()


@given(numbers=st.lists(st.floats(width=32), max_size=600), latency=st.floats(0, 1000))
def test_protobuf_parses_a_response_as_it_was_written(numbers: list[float], latency: float) -> None:
    output = np.array(numbers, np.float32)
    read = pb.PredictResponse.FromString(encoded(ROWS, output, latency=latency))
    assert np.array(read.outputs, np.float32).tobytes() == output.tobytes()
    assert read.latency_ms == np.float32(latency * 1e3)


@pytest.mark.parametrize("count", [0, 1, 31, 32, 49, 50, 4095, 4096, 600_000])
def test_messages_of_every_size_are_parsed_and_written(count: int) -> None:
    numbers = np.arange(count, dtype=np.float32)
    call = ml_v1.Predict().decode(pb.PredictRequest(inputs=numbers).SerializeToString())
    assert np.array_equal(call.parts, numbers)
    assert np.array_equal(np.array(pb.PredictResponse.FromString(encoded(ROWS, numbers)).outputs), numbers)


FIELDS = st.sampled_from(
    [
        *(b"\x0a\x01m", b"\x0a\x00", b"\x0a\x01\xff", b"\x0a\x80\x01" + b"m" * 128),  # names, one of them not UTF-8
        *(b"\x12\x04\0\0\x80\x3f", b"\x12\x03\0\0\0", b"\x12\x00", b"\x12\x80\x01" + bytes(128)),  # packed numbers
        *(
            b"\x15\0\0\x80\x3f",
            b"\x1a\x01x",
            b"\x12",
            b"\x12\x80",
            b"\x0a",
        ),  # one number, an unknown field, truncated fields
    ]
)


@given(st.lists(FIELDS, max_size=4).map(b"".join))
def test_a_message_in_any_form_is_parsed_as_protobuf_parses_it(message: bytes) -> None:
    try:
        expected = pb.PredictRequest.FromString(message)
    except DecodeError:
        with pytest.raises(InvalidInput):
            ml_v1.Predict().decode(message)
        return
    call = ml_v1.Predict().decode(message)
    assert call.model == expected.model_name
    assert (call.parts.dtype, call.parts.tolist()) == (np.float32, list(expected.inputs))
    assert call.parts.flags.aligned


def test_unpacked_numbers_and_several_packs_are_one_list() -> None:
    """As protobuf requires it of every parser."""
    one, two = b"\x15\0\0\x80\x3f", b"\x12\x04\0\0\0\x40"  # field 2: 1.0 unpacked, 2.0 packed
    assert ml_v1.Predict().decode(one + two + one).parts.tolist() == [1, 2, 1]


def test_numbers_in_several_packs_of_a_large_message_are_one_list() -> None:
    numbers = np.arange(LARGE, dtype=np.float32)
    pack = delimited(2, numbers.tobytes())
    call = ml_v1.Predict().decode(pack + delimited(1, b"m") + pack)
    assert call.model == "m"
    assert np.array_equal(call.parts, np.concatenate([numbers, numbers]))
    assert call.parts.flags.aligned


@pytest.mark.parametrize(
    ("more", "text"),
    [
        (b"\x15\0\0\x80\x3f", "inputs: got both packed and unpacked numbers; expected packed numbers only"),
        (delimited(2, b"abc"), "inputs: got an incomplete number; expected packed floats of 4 bytes each"),
        (b"\x78\x01" * 5000, "message: got more than 4096 fields in one message; expected at most 4096"),
        (b"\x15", "message: got invalid protobuf"),
    ],
)
def test_a_large_message_of_other_fields_than_packed_numbers_is_refused(more: bytes, text: str) -> None:
    with pytest.raises(InvalidInput, match=text):
        ml_v1.Predict().decode(delimited(2, bytes(4 * LARGE)) + more)


def test_a_large_message_may_have_no_numbers_at_all() -> None:
    call = ml_v1.Predict().decode(delimited(1, b"m") + delimited(9, b"x" * 60_000) + delimited(1, b"m" * 5000))
    assert (call.model, call.parts.size) == ("m" * 5000, 0)


@given(st.binary(max_size=40))
def test_any_bytes_are_parsed_or_refused(message: bytes) -> None:
    with suppress(InvalidInput):
        ml_v1.Predict().decode(message)
    with suppress(InvalidInput):
        ml_v1.BatchPredict().decode(message, most=40)


def test_a_batch_of_too_many_requests_is_refused_before_protobuf_parses_them() -> None:
    """Protobuf would create an object for each: 4 GB for 30 MB."""
    with pytest.raises(PayloadTooLarge, match="requests: got 3 requests; expected at most 2 requests"):
        ml_v1.BatchPredict().decode(delimited(1, b"\xff") * 3, most=2)
    with pytest.raises(InvalidInput, match="more than 4098 fields"):
        ml_v1.BatchPredict().decode(delimited(1, b"") * 300_000, most=2)


def test_invalid_protobuf_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"message: got invalid protobuf .*; expected an ml\.v1\.PredictRequest"):
        ml_v1.Predict().decode(b"\xff\xff")


@pytest.mark.parametrize(
    ("ready", "count", "shape"),
    [
        (ROWS, 3, (1, 3)),
        (ROWS, 6, (2, 3)),
        (model(spec("x", ("n", 2, 2))), 8, (2, 2, 2)),
        (model(spec("x", ("n",))), 5, (5,)),
        (model(spec("x", (1, 3))), 6, (2, 3)),  # the model fixes the first axis to 1: each row has its own run
        (model(spec("x", (2, 3))), 6, (2, 3)),
        (model(spec("x", (2, "length"))), 6, (2, 3)),
        (model(spec("x", ("n", "length"))), 5, (1, 5)),
        (model(spec("x", ())), 1, ()),
        (model(spec("x", None)), 4, (4,)),
    ],
)
def test_the_numbers_get_the_models_shape(ready: ReadyModel, count: int, shape: tuple[int, ...]) -> None:
    tensor = bound(ready, *range(count))
    assert tensor.shape == shape
    assert tensor.ravel().tolist() == list(range(count))


@pytest.mark.parametrize(
    ("ready", "count", "message"),
    [
        (ROWS, 0, "inputs: got no numbers; expected a multiple of 3"),
        (ROWS, 4, r"inputs: got 4 numbers; expected a multiple of 3: consecutive rows of float32\[n, 3\]"),
        (model(spec("x", (2, 3))), 7, r"inputs: got 7 numbers; expected the elements of float32\[2, 3\]"),
        (model(spec("x", (2, 3))), 12, "inputs: got 12 numbers"),
        (model(spec("x", (2, "length"))), 5, "inputs: got 5 numbers"),
        (model(spec("x", ())), 2, r"inputs: got 2 numbers; expected the elements of float32\[\]"),
        (model(spec("x", ("n", 0))), 2, "inputs: got 2 numbers"),
        (model(spec("x", ("n", "a", "b"))), 4, "at most one unknown size"),
        (model(spec("x", ("n", 3)), spec("k", ())), 4, r"a model of inputs \(x: float32\[n, 3\], k: float32\[\]\)"),
        (model(spec("x", ("n",), STRING)), 1, r"inputs: got numbers; expected string\[n\]; use the predict API"),
        (model(spec("x", None, "f4", "sequence")), 1, r"expected sequence\(float32\)"),
        (model(spec("x", ("n", 3)), outputs=(spec("y", ("n",), STRING),)), 3, r"outputs \(y: string\[n\]\)"),
    ],
)
def test_models_and_counts_that_a_list_of_numbers_does_not_fit_are_refused(
    ready: ReadyModel, count: int, message: str
) -> None:
    fault = refused(ready, *range(count))
    with pytest.raises(InvalidInput, match=message):
        raise fault


@pytest.mark.parametrize("dtype", ["f2", "f8", "i8", "u1", "?"])
def test_the_numbers_get_the_models_element_type(dtype: str) -> None:
    tensor = bound(model(spec("x", ("n", 3), dtype)), 0, 1, 1)
    assert tensor.dtype == np.dtype(dtype)
    assert tensor.tolist() == [[0, 1, 1]]


@pytest.mark.parametrize(
    ("dtype", "number"), [("i8", 0.5), ("i8", 1e30), ("u1", -1), ("u1", 256), ("i4", float("nan")), ("?", 2)]
)
def test_a_number_that_the_models_integer_type_cannot_represent_is_refused(dtype: str, number: float) -> None:
    fault = refused(model(spec("x", ("n", 1), dtype)), number)
    assert fault.details["got"] == "numbers with fractions or out of range"


def test_outputs_contain_the_numbers_of_all_types_in_the_models_order() -> None:
    outputs = (
        spec("label", ("n",), "i8"),
        spec("text", ("n",), STRING),
        spec("scores", ("n", 2)),
        spec("maps", None, "f4", "sequence", "map of int64"),
    )
    ready = model(spec("x", ("n", 3)), outputs=outputs)
    values = np.array([7]), np.array(["a"], object), np.array([[0.25, 0.75]]), np.empty(1, object)
    assert list(pb.PredictResponse.FromString(encoded(ready, *values)).outputs) == [7, 0.25, 0.75]


def test_an_output_that_is_a_view_is_written_in_its_logical_order() -> None:
    transposed = np.arange(6, dtype=np.float32).reshape(2, 3).T
    assert list(pb.PredictResponse.FromString(encoded(ROWS, transposed)).outputs) == [0, 3, 1, 4, 2, 5]


def test_an_empty_output_has_no_field() -> None:
    assert pb.PredictResponse.FromString(encoded(ROWS, np.empty((0, 1), np.float32))).outputs == []


def test_a_batch_is_one_call_per_item_in_order() -> None:
    parts = [pb.PredictRequest(model_name="a", inputs=[1]), pb.PredictRequest(model_name="b")]
    calls: list[Call] = ml_v1.BatchPredict().decode(pb.BatchPredictRequest(requests=parts).SerializeToString(), most=9)
    assert [(each.model, each.parts.tolist()) for each in calls] == [("a", [1.0]), ("b", [])]


def test_each_item_of_a_batch_has_its_own_response_or_error() -> None:
    items: list[list[bytes] | ScalezeroError] = [
        [encoded(ROWS, np.ones(2, np.float32), latency=0.5)],
        UnknownModel("x", ["m"]),
        QueueFull(limit=1, retry_after=1),
        UnknownModel("\ud800", []),
    ]
    answer = pb.BatchPredictResponse.FromString(b"".join(ml_v1.BatchPredict().join(items)))
    first, second, third, fourth = answer.items
    assert (list(first.response.outputs), first.response.latency_ms) == ([1, 1], 500)
    assert (second.error.code, second.error.message) == ("model_not_found", "model 'x' is not served; served: m")
    assert third.error.code == "queue_full"
    assert fourth.error.message
