"""Predict: whose tensors are taken, which outputs are answered, and TensorFlow Serving's words where they are not."""

from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import InvalidInput, RefusedInput, ScalezeroError, UnknownSignature
from runtime.model.signature import Signature
from runtime.predictor import ReadyModel
from runtime.protobuf import delimited
from runtime.protocols import outline
from runtime.protocols.protos import tensorflow_pb2 as tf
from runtime.protocols.protos import tensorflow_serving_pb2 as pb
from runtime.protocols.tensorflow_serving.grpc_predict import Predict
from runtime.tensors import Prediction, Query, Shape, TensorSpec

LIMIT = 1 << 20
FLOAT = np.dtype("f4")


def spec(name: str, shape: Shape | None = ("n", 2), *containers: str) -> TensorSpec:
    return TensorSpec(name, FLOAT, shape, containers)


def model(*inputs: TensorSpec, outputs: tuple[TensorSpec, ...] = (spec("y"),)) -> ReadyModel:
    return ReadyModel("m", "7", cast("Any", None), Signature(inputs, outputs), cast("Any", None))


ONE, TWO = model(spec("x")), model(spec("a"), spec("b"), outputs=(spec("total"), spec("rest")))


def no_zero(_: str) -> bool:
    return False


def tensor(*numbers: float, rows: int = 1) -> tf.TensorProto:
    sizes = [tf.TensorShapeProto.Dim(size=size) for size in (rows, len(numbers) // rows)]
    return tf.TensorProto(dtype=tf.DT_FLOAT, tensor_shape=tf.TensorShapeProto(dim=sizes), float_val=numbers)


def request(*, output_filter: tuple[str, ...] = (), signature: str = "", **inputs: tf.TensorProto) -> pb.PredictRequest:
    spec = pb.ModelSpec(name="m", signature_name=signature)
    return pb.PredictRequest(model_spec=spec, inputs=inputs, output_filter=output_filter)


def bound(message: bytes, ready: ReadyModel) -> Query:
    method = Predict(no_zero, limit=LIMIT)
    [query] = method.bind(method.decode(message), ready)
    return query


def refused(message: pb.PredictRequest, ready: ReadyModel, kind: type[ScalezeroError] = RefusedInput) -> str:
    with pytest.raises(kind) as raised:
        bound(message.SerializeToString(), ready)
    return raised.value.message


def answered(query: Query, ready: ReadyModel, *outputs: np.ndarray, version: str = "7") -> pb.PredictResponse:
    prediction = Prediction(outputs, model="m", version=version, arrived=0, queued=0, batched=0, ran=0)
    message = Predict(no_zero, limit=LIMIT).encode([query], [prediction], ready, latency=0)
    return pb.PredictResponse.FromString(b"".join(message))


def test_inputs_come_in_the_order_of_the_model() -> None:
    query = bound(request(b=tensor(3, 4), a=tensor(1, 2)).SerializeToString(), TWO)
    assert [each.tolist() for each in query.tensors] == [[[1, 2]], [[3, 4]]]


@pytest.mark.parametrize("given_last", [False, True])
def test_a_large_message_is_read_as_a_small_one(*, given_last: bool) -> None:
    numbers = np.random.default_rng(1).normal(size=(20_000, 2)).astype(np.float32)
    large = request(output_filter=("rest",), a=tensor(*numbers.ravel().tolist(), rows=20_000))
    if given_last:
        large.inputs["b"].CopyFrom(large.inputs["a"])
    else:
        large.inputs["b"].CopyFrom(tensor(1, 2))
    message = large.SerializeToString()
    assert len(message) > outline.SMALL
    query = bound(message, TWO)
    assert query.tensors[0].tobytes() == numbers.tobytes()
    assert query.form == [1]


@pytest.mark.parametrize(
    ("version", "right"), [({}, None), ({"version": {"value": 0}}, None), ({"version": {"value": 5}}, 5)]
)
def test_a_version_is_asked_by_its_number(version: dict[str, object], right: int | None) -> None:
    spec = pb.ModelSpec(name="m", **version)  # type: ignore[arg-type]
    call = Predict(no_zero, limit=LIMIT).decode(pb.PredictRequest(model_spec=spec).SerializeToString())
    assert (call.model, call.version) == ("m", right)


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (None, "Missing ModelSpec"),
        (pb.ModelSpec(), "ModelSpec has no name specified."),
        (pb.ModelSpec(name="m", version_label="stable"), "Unrecognized servable version label: stable"),
    ],
)
def test_a_request_that_names_no_model_is_refused_in_the_words_of_tensorflow_serving(
    spec: pb.ModelSpec | None, told: str
) -> None:
    assert refused(pb.PredictRequest(model_spec=spec), ONE) == told


def test_a_model_has_one_signature() -> None:
    bound(request(signature="serving_default", x=tensor(1, 2)).SerializeToString(), ONE)
    with pytest.raises(UnknownSignature, match="signature_name: got 'other'; expected 'serving_default'"):
        bound(request(signature="other", x=tensor(1, 2)).SerializeToString(), ONE)


def test_names_that_are_missing_or_too_many_are_told_as_tensorflow_serving_does() -> None:
    assert refused(request(a=tensor(1, 2)), TWO) == (
        "input size does not match signature: 1!=2 len({a}) != len({a,b}). Sent extra: {}. Missing but required: {b}."
    )
    assert refused(request(x=tensor(1, 2), z=tensor(1, 2)), ONE) == (
        "input size does not match signature: 2!=1 len({x,z}) != len({x}). Sent extra: {z}. Missing but required: {}."
    )
    assert refused(request(z=tensor(1, 2)), ONE) == (
        "input tensor alias not found in signature: z. Inputs expected to be in the set {x}."
    )


def test_a_tensor_of_another_type_is_refused() -> None:
    wrong = tf.TensorProto(dtype=tf.DT_DOUBLE)
    assert refused(request(x=wrong), ONE, InvalidInput) == (
        "inputs.x.dtype: got DT_DOUBLE; expected DT_FLOAT, for float32[n, 2]"
    )


def test_an_optional_input_is_absent() -> None:
    ready = model(spec("o", None, "optional"), spec("x"))
    absent, x = bound(request(x=tensor(1, 2)).SerializeToString(), ready).tensors
    assert absent.item() is None
    assert x.tolist() == [[1, 2]]


def test_a_model_of_other_values_cannot_be_asked() -> None:
    ready = model(spec("s", None, "sequence"), spec("x"))
    assert refused(request(x=tensor(1, 2)), ready, InvalidInput) == (
        "model_spec: got a model whose input s is sequence(float32); "
        "expected inputs that are tensors; the predict API takes all"
    )


@pytest.mark.parametrize(("wanted", "places"), [((), [0, 1]), (("rest",), [1]), (("rest", "total"), [1, 0])])
def test_a_caller_gets_the_outputs_that_it_names(wanted: tuple[str, ...], places: list[int]) -> None:
    query = bound(request(output_filter=wanted, a=tensor(1, 2), b=tensor(3, 4)).SerializeToString(), TWO)
    assert query.form == places
    answer = answered(query, TWO, np.array([[1, 2]], FLOAT), np.array([[3, 4]], FLOAT))
    values = {0: ("total", [1, 2]), 1: ("rest", [3, 4])}
    assert {name: list(each.float_val) for name, each in answer.outputs.items()} == dict(
        values[each] for each in places
    )


def test_outputs_that_are_not_there_or_named_twice_are_refused() -> None:
    assert refused(request(output_filter=("total", "z"), a=tensor(1, 2), b=tensor(1, 2)), TWO) == (
        "output tensor alias not found in signature: z Outputs expected to be in the set {rest,total}."
    )
    assert refused(request(output_filter=("rest", "rest"), a=tensor(1, 2), b=tensor(1, 2)), TWO) == (
        "duplicate output tensor alias: rest"
    )


def test_outputs_that_are_no_tensors_are_left_out() -> None:
    maps = spec("p", None, "sequence", "map of int64")
    ready = model(spec("x"), outputs=(maps, spec("y")))
    assert bound(request(x=tensor(1, 2)).SerializeToString(), ready).form == [1]
    only = model(spec("x"), outputs=(maps,))
    assert "expected one with tensors" in refused(request(x=tensor(1, 2)), only, InvalidInput)


def test_an_answer_says_which_model_made_it() -> None:
    query = bound(request(x=tensor(1, 2)).SerializeToString(), ONE)
    answer = answered(query, ONE, np.zeros((1, 2), FLOAT))
    assert (answer.model_spec.name, answer.model_spec.signature_name) == ("m", "serving_default")
    assert answer.model_spec.version.value == 7
    assert answered(query, ONE, np.zeros((1, 2), FLOAT), version="0").model_spec.HasField("version")


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        (delimited(1, b"\xff"), "inputs: got a name that is not UTF-8"),
        (delimited(1, b"x") + delimited(2, b"") * 2, "inputs.x: got a malformed entry"),
        (delimited(1, b"x") + b"\x18\1", "inputs.x: got a malformed entry"),
        (b"\xff", "no protobuf"),
    ],
)
def test_a_malformed_entry_of_a_large_message_is_refused(entry: bytes, told: str) -> None:
    padding = delimited(2, delimited(1, b"p") + delimited(2, bytes(outline.SMALL)))
    message = request().SerializeToString() + padding + delimited(2, entry)
    with pytest.raises(InvalidInput, match=told):
        bound(message, ONE)


def test_an_entry_without_a_name_and_a_tensor_has_empty_ones() -> None:
    padding = delimited(2, delimited(1, b"p") + delimited(2, bytes(outline.SMALL)))
    call = Predict(no_zero, limit=LIMIT).decode(request().SerializeToString() + padding + delimited(2, b""))
    assert set(call.parts.inputs) == {"p", ""}


def test_a_message_of_very_many_fields_is_refused_before_they_are_made() -> None:
    with pytest.raises(InvalidInput, match="more than 4096 fields in one message"):
        bound(delimited(3, b"y") * 50_000, ONE)


@settings(deadline=None)  # some of it is looked at field by field
@given(st.binary(max_size=80))
def test_any_bytes_are_a_request_or_refused(content: bytes) -> None:
    start = request(x=tensor(1, 2)).SerializeToString()
    padding = delimited(2, delimited(1, b"p") + delimited(2, bytes(outline.SMALL)))
    for message in (content, start + content, start[: len(content)], start + padding + content):
        try:
            bound(message, ONE)
        except ScalezeroError as error:
            assert isinstance(error, InvalidInput | RefusedInput | UnknownSignature)  # noqa: PT017 - or none at all


def test_version_0_is_asked_where_there_is_one() -> None:
    spec = pb.ModelSpec(name="m", version={"value": 0})
    message = pb.PredictRequest(model_spec=spec).SerializeToString()
    assert Predict(lambda name: name == "m", limit=LIMIT).decode(message).version == 0
