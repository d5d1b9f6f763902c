"""Predict: the inputs of a request, the selected outputs, and TensorFlow Serving's error messages."""

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


def encoded(query: Query, ready: ReadyModel, *outputs: np.ndarray, version: str = "7") -> pb.PredictResponse:
    prediction = Prediction(outputs, model="m", version=version, arrived=0, queued=0, batched=0, ran=0)
    message = Predict(no_zero, limit=LIMIT).encode([query], [prediction], ready, latency=0)
    return pb.PredictResponse.FromString(b"".join(message))


def test_inputs_are_in_the_order_of_the_model() -> None:
    query = bound(request(b=tensor(3, 4), a=tensor(1, 2)).SerializeToString(), TWO)
    assert [each.tolist() for each in query.tensors] == [[[1, 2]], [[3, 4]]]


@pytest.mark.parametrize("inputs_last", [False, True])
def test_a_large_message_is_parsed_like_a_small_one(*, inputs_last: bool) -> None:
    numbers = np.random.default_rng(1).normal(size=(20_000, 2)).astype(np.float32)
    large = request(output_filter=("rest",), a=tensor(*numbers.ravel().tolist(), rows=20_000))
    if inputs_last:
        large.inputs["b"].CopyFrom(large.inputs["a"])
    else:
        large.inputs["b"].CopyFrom(tensor(1, 2))
    message = large.SerializeToString()
    assert len(message) > outline.SMALL
    query = bound(message, TWO)
    assert query.tensors[0].tobytes() == numbers.tobytes()
    assert query.form == [1]


@pytest.mark.parametrize(
    ("version", "expected"), [({}, None), ({"version": {"value": 0}}, None), ({"version": {"value": 5}}, 5)]
)
def test_a_request_names_a_version_by_its_number(version: dict[str, object], expected: int | None) -> None:
    spec = pb.ModelSpec(name="m", **version)  # type: ignore[arg-type]
    call = Predict(no_zero, limit=LIMIT).decode(pb.PredictRequest(model_spec=spec).SerializeToString())
    assert (call.model, call.version) == ("m", expected)


@pytest.mark.parametrize(
    ("spec", "expected_message"),
    [
        (None, "Missing ModelSpec"),
        (pb.ModelSpec(), "ModelSpec has no name specified."),
        (pb.ModelSpec(name="m", version_label="stable"), "Unrecognized servable version label: stable"),
    ],
)
def test_a_request_without_a_model_is_refused_with_tensorflow_servings_message(
    spec: pb.ModelSpec | None, expected_message: str
) -> None:
    assert refused(pb.PredictRequest(model_spec=spec), ONE) == expected_message


def test_a_model_has_one_signature() -> None:
    bound(request(signature="serving_default", x=tensor(1, 2)).SerializeToString(), ONE)
    with pytest.raises(UnknownSignature, match="signature_name: got 'other'; expected 'serving_default'"):
        bound(request(signature="other", x=tensor(1, 2)).SerializeToString(), ONE)


def test_missing_and_extra_names_are_refused_with_tensorflow_servings_message() -> None:
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


def test_a_model_with_other_inputs_than_tensors_is_refused() -> None:
    ready = model(spec("s", None, "sequence"), spec("x"))
    assert refused(request(x=tensor(1, 2)), ready, InvalidInput) == (
        "model_spec: got a model whose input s is sequence(float32); "
        "expected a model whose inputs are all tensors; use the predict API for this one"
    )


@pytest.mark.parametrize(("selected", "places"), [((), [0, 1]), (("rest",), [1]), (("rest", "total"), [1, 0])])
def test_the_output_filter_selects_the_outputs(selected: tuple[str, ...], places: list[int]) -> None:
    query = bound(request(output_filter=selected, a=tensor(1, 2), b=tensor(3, 4)).SerializeToString(), TWO)
    assert query.form == places
    answer = encoded(query, TWO, np.array([[1, 2]], FLOAT), np.array([[3, 4]], FLOAT))
    values = {0: ("total", [1, 2]), 1: ("rest", [3, 4])}
    assert {name: list(each.float_val) for name, each in answer.outputs.items()} == dict(
        values[each] for each in places
    )


def test_unknown_and_repeated_outputs_are_refused() -> None:
    assert refused(request(output_filter=("total", "z"), a=tensor(1, 2), b=tensor(1, 2)), TWO) == (
        "output tensor alias not found in signature: z Outputs expected to be in the set {rest,total}."
    )
    assert refused(request(output_filter=("rest", "rest"), a=tensor(1, 2), b=tensor(1, 2)), TWO) == (
        "duplicate output tensor alias: rest"
    )


def test_outputs_that_are_not_tensors_are_omitted() -> None:
    maps = spec("p", None, "sequence", "map of int64")
    ready = model(spec("x"), outputs=(maps, spec("y")))
    assert bound(request(x=tensor(1, 2)).SerializeToString(), ready).form == [1]
    only = model(spec("x"), outputs=(maps,))
    assert "expected a model with at least one tensor as output" in refused(request(x=tensor(1, 2)), only, InvalidInput)


def test_an_answer_has_the_resolved_model_spec() -> None:
    query = bound(request(x=tensor(1, 2)).SerializeToString(), ONE)
    answer = encoded(query, ONE, np.zeros((1, 2), FLOAT))
    assert (answer.model_spec.name, answer.model_spec.signature_name) == ("m", "serving_default")
    assert answer.model_spec.version.value == 7
    assert encoded(query, ONE, np.zeros((1, 2), FLOAT), version="0").model_spec.HasField("version")


@pytest.mark.parametrize(
    ("entry", "expected_message"),
    [
        (delimited(1, b"\xff"), "inputs: got a name that is not UTF-8"),
        (delimited(1, b"x") + delimited(2, b"") * 2, "inputs.x: got a malformed entry"),
        (delimited(1, b"x") + b"\x18\1", "inputs.x: got a malformed entry"),
        (b"\xff", "invalid protobuf"),
    ],
)
def test_a_malformed_entry_of_a_large_message_is_refused(entry: bytes, expected_message: str) -> None:
    padding = delimited(2, delimited(1, b"p") + delimited(2, bytes(outline.SMALL)))
    message = request().SerializeToString() + padding + delimited(2, entry)
    with pytest.raises(InvalidInput, match=expected_message):
        bound(message, ONE)


def test_an_entry_without_a_name_and_a_tensor_has_an_empty_name_and_tensor() -> None:
    padding = delimited(2, delimited(1, b"p") + delimited(2, bytes(outline.SMALL)))
    call = Predict(no_zero, limit=LIMIT).decode(request().SerializeToString() + padding + delimited(2, b""))
    assert set(call.parts.inputs) == {"p", ""}


def test_a_message_of_too_many_fields_is_refused_before_protobuf_parses_it() -> None:
    with pytest.raises(InvalidInput, match="more than 4096 fields in one message"):
        bound(delimited(3, b"y") * 50_000, ONE)


@settings(deadline=None)  # some messages are parsed field by field
@given(st.binary(max_size=80))
def test_any_bytes_are_a_request_or_refused(content: bytes) -> None:
    start = request(x=tensor(1, 2)).SerializeToString()
    padding = delimited(2, delimited(1, b"p") + delimited(2, bytes(outline.SMALL)))
    for message in (content, start + content, start[: len(content)], start + padding + content):
        try:
            bound(message, ONE)
        except ScalezeroError as error:
            assert isinstance(error, InvalidInput | RefusedInput | UnknownSignature)  # noqa: PT017 - or none at all


def test_version_0_is_found_if_it_exists() -> None:
    spec = pb.ModelSpec(name="m", version={"value": 0})
    message = pb.PredictRequest(model_spec=spec).SerializeToString()
    assert Predict(lambda name: name == "m", limit=LIMIT).decode(message).version == 0
