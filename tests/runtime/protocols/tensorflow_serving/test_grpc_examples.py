"""Classify, Regress and MultiInference: examples of a message to one query, and outputs to results."""

from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import InvalidInput, RefusedInput, ScalezeroError, UnknownSignature, UnsupportedOperation
from runtime.model.signature import Signature
from runtime.predictor import ReadyModel
from runtime.protobuf import delimited
from runtime.protocols import outline
from runtime.protocols.protos import tensorflow_pb2 as tf
from runtime.protocols.protos import tensorflow_serving_pb2 as pb
from runtime.protocols.tensorflow_serving.grpc_examples import Classify, MultiInference, Regress
from runtime.tensors import Prediction, Query, TensorSpec
from tests.runtime.tensor_specs import spec

CLASSIFY, REGRESS = "tensorflow/serving/classify", "tensorflow/serving/regress"
Method = Classify | Regress | MultiInference


def model(*outputs: TensorSpec, inputs: tuple[TensorSpec, ...] = (spec("x", ("n", 2)),)) -> ReadyModel:
    return ReadyModel("m", "7", cast("Any", None), Signature(inputs, outputs), cast("Any", None))


SCORES, VALUE = spec("scores", ("n", 2)), spec("outputs", ("n", 1))
BOTH = model(SCORES, VALUE)


def no_zero(_: str) -> bool:
    return False


def example(**features: list[float] | list[int] | list[bytes]) -> tf.Example:
    built = tf.Example()
    for name, values in features.items():
        feature = built.features.feature[name]
        if isinstance(values[0], bytes):
            feature.bytes_list.value.extend(values)
        elif isinstance(values[0], float):
            feature.float_list.value.extend(cast("list[float]", values))
        else:
            feature.int64_list.value.extend(cast("list[int]", values))
    return built


def input_of(*examples: tf.Example, context: tf.Example | None = None) -> pb.Input:
    if context is None:
        return pb.Input(example_list=pb.ExampleList(examples=examples))
    return pb.Input(example_list_with_context=pb.ExampleListWithContext(examples=examples, context=context))


def classification(examples: pb.Input, *, signature: str = "") -> bytes:
    spec = pb.ModelSpec(name="m", signature_name=signature)
    return pb.ClassificationRequest(model_spec=spec, input=examples).SerializeToString()


def tasks(*methods: str, model: str = "m", examples: pb.Input | None = None) -> bytes:
    every = [pb.InferenceTask(model_spec=pb.ModelSpec(name=model), method_name=method) for method in methods]
    return pb.MultiInferenceRequest(tasks=every, input=examples or input_of(example(x=[1.0, 2.0]))).SerializeToString()


def bound(message: bytes, ready: ReadyModel = BOTH, method: type[Method] = Classify) -> Query:
    translator = method(no_zero)
    [query] = translator.bind(translator.decode(message), ready)
    return query


def encoded(query: Query, *outputs: np.ndarray, method: type[Method] = Classify, ready: ReadyModel = BOTH) -> bytes:
    prediction = Prediction(outputs, model="m", version="7", arrived=0, queued=0, batched=0, ran=0)
    return method(no_zero).encode([query], [prediction], ready, latency=0)


def test_examples_are_the_rows_of_one_query() -> None:
    query = bound(classification(input_of(example(x=[1.0, 2.0]), example(x=[3, 4]))))
    assert query.tensors[0].tolist() == [[1, 2], [3, 4]]


def test_the_context_is_the_default_of_the_features_of_each_example() -> None:
    ready = model(SCORES, inputs=(spec("x", ("n", 1)), spec("k", ("n", 1))))
    examples = input_of(example(x=[1.0]), example(x=[2.0], k=[9.0]), context=example(k=[5.0]))
    first, second = bound(classification(examples), ready).tensors
    assert (first.tolist(), second.tolist()) == ([[1], [2]], [[5], [9]])


def test_the_text_of_an_input_must_be_utf_8() -> None:
    ready = model(SCORES, inputs=(spec("t", ("n", 1), "O"),))
    query = bound(classification(input_of(example(t=["é".encode()], picture=[b"\xff"]))), ready)
    assert query.tensors[0].tolist() == [["é"]]
    with pytest.raises(InvalidInput, match=r"examples\[0\].t\[0\]: got bytes that are not UTF-8"):
        bound(classification(input_of(example(t=[b"\xff"]))), ready)


def test_a_classification_has_the_classes_of_each_example() -> None:
    query = bound(classification(input_of(example(x=[1.0, 2.0]), example(x=[3.0, 4.0]))))
    outputs = np.array([[0.25, 0.75], [1, 0]], np.float32), np.zeros((2, 1), np.float32)
    answer = pb.ClassificationResponse.FromString(encoded(query, *outputs))
    rows = [[(each.label, each.score) for each in row.classes] for row in answer.result.classifications]
    assert rows == [[("0", 0.25), ("1", 0.75)], [("0", 1), ("1", 0)]]
    assert answer.model_spec == pb.ModelSpec(name="m", version={"value": 7}, signature_name="serving_default")


def test_a_regression_has_the_value_of_each_example() -> None:
    examples = input_of(example(x=[1.0, 2.0]), example(x=[3.0, 4.0]))
    message = pb.RegressionRequest(model_spec=pb.ModelSpec(name="m"), input=examples).SerializeToString()
    query = bound(message, method=Regress)
    outputs = np.zeros((2, 2), np.float32), np.array([[0.5], [2]], np.float32)
    answer = pb.RegressionResponse.FromString(encoded(query, *outputs, method=Regress))
    assert [each.value for each in answer.result.regressions] == [0.5, 2]
    assert answer.model_spec.version.value == 7


def test_several_tasks_are_answered_by_one_run() -> None:
    query = bound(tasks(REGRESS, CLASSIFY), method=MultiInference)
    outputs = np.array([[0.25, 0.75]], np.float32), np.array([[2]], np.float32)
    answer = pb.MultiInferenceResponse.FromString(encoded(query, *outputs, method=MultiInference))
    first, second = answer.results
    assert first.regression_result.regressions[0].value == 2
    assert [each.score for each in second.classification_result.classifications[0].classes] == [0.25, 0.75]
    assert [each.model_spec.name for each in answer.results] == ["m", "m"]


@pytest.mark.parametrize(
    ("message", "kind", "expected_message"),
    [
        (pb.MultiInferenceRequest().SerializeToString(), InvalidInput, "tasks: got none; expected at least one task"),
        (tasks(CLASSIFY) + tasks(REGRESS, model="other"), RefusedInput, "must access the same model name"),
        (tasks("tensorflow/serving/predict"), UnsupportedOperation, "method_name 'tensorflow/serving/predict' is not"),
        (tasks(CLASSIFY, CLASSIFY), RefusedInput, "Duplicate evaluation of signature: serving_default"),
        (tasks(CLASSIFY, model=""), RefusedInput, "ModelSpec has no name specified"),
    ],
)
def test_tasks_that_do_not_fit_together_are_refused(
    message: bytes, kind: type[ScalezeroError], expected_message: str
) -> None:
    with pytest.raises(kind, match=expected_message):
        bound(message, method=MultiInference)


def test_a_model_has_one_signature() -> None:
    with pytest.raises(UnknownSignature):
        bound(classification(input_of(example(x=[1.0, 2.0])), signature="other"))


@pytest.mark.parametrize(
    ("examples", "expected_message"),
    [
        (pb.Input(), "examples: got none"),
        (input_of(), "examples: got none"),
        (input_of(tf.Example()), r"examples\[0\].x: got no such feature"),
        (input_of(example(y=[1.0])), r"examples\[0\].x: got no such feature"),
        (
            input_of(tf.Example(features=tf.Features(feature={"x": tf.Feature()}))),
            r"examples\[0\].x: got no such feature",
        ),
        (input_of(example(x=[1.0])), r"examples\[0\].x: got 1 values; expected 2"),
    ],
)
def test_examples_that_do_not_fit_the_inputs_are_refused(examples: pb.Input, expected_message: str) -> None:
    with pytest.raises(InvalidInput, match=expected_message):
        bound(classification(examples))


def test_a_model_without_the_outputs_of_a_method_is_refused() -> None:
    with pytest.raises(InvalidInput, match=CLASSIFY):
        bound(classification(input_of(example(x=[1.0, 2.0]))), model(spec("y", ("n",))))


def test_a_large_example_is_parsed_like_a_small_one() -> None:
    numbers = np.arange(40_000, dtype=np.float32)
    ready = model(SCORES, inputs=(spec("x", ("n", None)),))
    query = bound(classification(input_of(example(x=numbers.tolist(), label=[1, 2], name=[b"a"]))), ready)
    assert query.tensors[0].tobytes() == numbers.tobytes()


def test_a_large_example_may_have_many_strings_but_a_limited_int64_list() -> None:
    with pytest.raises(
        InvalidInput, match="an int64_list of 300004 bytes; expected at most 262144; call Predict instead"
    ):
        bound(classification(input_of(example(x=[1] * 300_000))))
    ready = model(SCORES, inputs=(spec("t", ("n", None), "O"),))
    query = bound(classification(input_of(example(t=[b"text"] * 30_000))), ready)
    assert query.tensors[0].shape == (1, 30_000)


def test_the_parts_of_a_message_field_are_merged() -> None:
    """As protobuf merges them."""
    whole = classification(input_of(example(x=[1.0, 2.0])))
    spec, content = pb.ModelSpec(name="m").SerializeToString(), input_of(example(x=[1.0, 2.0])).SerializeToString()
    assert whole == delimited(1, spec) + delimited(2, content)
    query = bound(delimited(1, spec) + delimited(2, b"") + delimited(2, content))
    assert query.tensors[0].tolist() == [[1, 2]]


def test_the_lists_of_an_input_are_merged_as_protobuf_merges_them() -> None:
    """Parts of one kind of list are one list; a list of the other kind replaces them."""
    one, two = (input_of(example(x=[float(index), 0.0])).SerializeToString() for index in (1, 2))
    three = input_of(example(x=[3.0, 0.0]), context=example(k=[1.0])).SerializeToString()
    model_spec = delimited(1, pb.ModelSpec(name="m").SerializeToString())
    for parts in ((one, two), (one, three), (three, one, two), (one, b"\x08\x01")):
        merged = pb.Input.FromString(b"".join(parts))
        every = getattr(merged, merged.WhichOneof("kind")).examples
        query = bound(model_spec + delimited(2, b"".join(parts)))
        assert query.tensors[0].tolist() == [list(each.features.feature["x"].float_list.value) for each in every]


def test_too_many_features_are_refused_before_protobuf_parses_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outline, "MANY", 20_000)
    features = b"".join([delimited(1, b"")] * 40_000)
    message = delimited(1, pb.ModelSpec(name="m").SerializeToString())
    message += delimited(2, delimited(1, delimited(1, delimited(1, features))))
    with pytest.raises(InvalidInput, match="more than 19999 fields in one message"):
        bound(message)


@settings(deadline=None)  # some messages are parsed field by field
@given(st.binary(max_size=60))
def test_any_bytes_are_a_request_or_refused(content: bytes) -> None:
    start = classification(input_of(example(x=[1.0, 2.0])))
    large = delimited(2, delimited(1, delimited(1, content + delimited(9, bytes(outline.SMALL)))))
    for message in (content, start + content, start[: len(content)], start + large):
        for method in (Classify, Regress, MultiInference):
            try:
                bound(message, method=method)
            except ScalezeroError as error:
                assert type(error) is not ScalezeroError  # noqa: PT017 - or none at all
