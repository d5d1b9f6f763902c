"""The data of an event as a model's inputs: every JSON form, and the bytes of a tensor."""

from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given

from runtime.errors import BadEvent, InvalidInput, ScalezeroError, UnsupportedContentType
from runtime.model.signature import Signature
from runtime.protocols import predict
from runtime.protocols.cloudevents import Event, data
from runtime.protocols.json.slices import WINDOW
from runtime.tensors import STRING, Query
from tests import strategies
from tests.runtime.protocols.cloudevents.events import finish, json_documents
from tests.runtime.tensor_specs import spec

OUTPUT = (spec("y", ("batch", 1)),)
ONE = Signature((spec("x", ("batch", 3)),), OUTPUT)
TWO = Signature((spec("a", ("batch", 2)), spec("b", ("batch",), "i8")), OUTPUT)
OPTIONAL = Signature((spec("x", ("batch", 3)), spec("mask", None, "i8", "optional")), OUTPUT)
NAMED_AS_A_FORM = Signature((spec("instances", ("batch", 2)),), OUTPUT)
TEXT = Signature((spec("text", ("batch",), STRING),), OUTPUT)
ROWS = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]


def event(document: object, content_type: str | None = "application/json") -> Event:
    return Event("1", "/s", "t", {}, content_type, orjson.dumps(document))


def bind(document: object, signature: Signature = ONE) -> Query:
    """Bind JSON data, and check that it is the same as text, as text in steps, and as a document."""
    text = data.bind(data.load(event(document)), signature)
    stepwise = data.bind(finish(data.load_slices(event(document))), signature)
    parsed = Event("1", "/s", "t", {}, "application/json", b"", document)
    for load in (data.load, lambda each: finish(data.load_slices(each))):
        again = data.bind(load(parsed), signature)
        assert again.form == text.form == stepwise.form
        for one, other, third in zip(again.tensors, text.tensors, stepwise.tensors, strict=True):
            np.testing.assert_array_equal(one, other)
            np.testing.assert_array_equal(one, third)
    return text


def refusal(document: object, signature: Signature = ONE) -> ScalezeroError:
    with pytest.raises((InvalidInput, BadEvent)) as refused:
        bind(document, signature)
    return refused.value


TENSOR = {"name": "x", "shape": [2, 3], "datatype": "FP32", "data": [1, 2, 3, 4, 5, 6]}


@pytest.mark.parametrize(
    "document",
    [
        ROWS,
        {"inputs": ROWS},
        {"instances": ROWS},
        {"x": ROWS},
        {"inputs": {"x": ROWS}},
        [{"x": row} for row in ROWS],
        {"instances": [{"x": row} for row in ROWS]},
        {"inputs": [TENSOR]},
        {"inputs": [{**TENSOR, "data": ROWS, "datatype": "float32"}], "id": "7", "parameters": {}, "outputs": []},
    ],
)
def test_every_form_of_rows_is_read(document: object) -> None:
    [tensor] = bind(document).tensors
    assert tensor.dtype == np.float32
    np.testing.assert_array_equal(tensor, ROWS)


@pytest.mark.parametrize("document", [ROWS[0], {"inputs": ROWS[0]}, {"x": ROWS[0]}, {"inputs": {"x": ROWS[0]}}])
def test_one_row_is_answered_as_one_row(document: object) -> None:
    query = bind(document)
    np.testing.assert_array_equal(query.tensors[0], ROWS[:1])
    assert query.form.one_row  # type: ignore[attr-defined] # a Form


@pytest.mark.parametrize(
    "document",
    [
        {"a": [[1, 2]], "b": [3]},
        {"inputs": {"a": [[1, 2]], "b": [3]}},
        {"inputs": [{"a": [1, 2], "b": 3}]},
        {"instances": [{"a": [1, 2], "b": 3}]},
        {
            "inputs": [
                {"name": "b", "shape": [1], "datatype": "INT64", "data": [3]},
                {"name": "a", "shape": [1, 2], "datatype": "FP32", "data": [[1, 2]]},
            ]
        },
    ],
)
def test_several_inputs_are_named(document: object) -> None:
    first, second = bind(document, TWO).tensors
    np.testing.assert_array_equal(first, [[1, 2]])
    np.testing.assert_array_equal(second, [3])


def test_an_optional_input_can_be_absent() -> None:
    for document in ({"x": ROWS}, {"inputs": [TENSOR]}):
        tensor, mask = bind(document, OPTIONAL).tensors
        np.testing.assert_array_equal(tensor, ROWS)
        assert mask[()] is None


def test_a_model_with_an_input_named_as_a_form_gets_it() -> None:
    np.testing.assert_array_equal(bind({"instances": [[1, 2]]}, NAMED_AS_A_FORM).tensors[0], [[1, 2]])


def test_texts_are_read() -> None:
    assert bind({"inputs": ["a", "b"]}, TEXT).tensors[0].tolist() == ["a", "b"]
    tensor = {"name": "text", "shape": [2], "datatype": "BYTES", "data": ["a", "b"]}
    assert bind({"inputs": [tensor]}, TEXT).tensors[0].tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("text", 'data: got "text"; expected an object with "inputs", or the inputs'),
        (None, "data: got null"),
        (1, "data: got 1"),
        ({}, "inputs.x: got nothing"),
        ({"z": 1}, "inputs.z: got an unknown input"),
        ({"inputs": ROWS, "extra": 1}, 'data."extra": got an unknown field; expected only "inputs"'),
        ({"instances": ROWS, "x": 1}, 'data."x": got an unknown field; expected only "instances"'),
        ({"instances": 1}, "instances: got 1; expected a list"),
        ({"inputs": [[[1, 2, 3]]]}, "inputs: got shape [1, 1, 3]"),
        ({"inputs": [TENSOR], "extra": 1}, 'data."extra": got an unknown field; expected id, inputs, outputs'),
        ({"inputs": [TENSOR, TENSOR]}, "inputs[1]: got an object; expected an object with a name that no other has"),
        ({"inputs": [TENSOR, 1]}, "inputs[1]: got 1"),
        ({"inputs": [{**TENSOR, "name": "z"}]}, "inputs.z: got an unknown input"),
        ({"inputs": [{**TENSOR, "name": 1}]}, "inputs[0]"),
        ({"inputs": [{**TENSOR, "datatype": "FP64"}]}, 'inputs.x.datatype: got "FP64"; expected float32 or FP32'),
        ({"inputs": [{**TENSOR, "shape": [2, 2]}]}, "inputs.x: got 6 elements; expected as many as shape [2, 2] has"),
        ({"inputs": [{**TENSOR, "shape": [2, -3]}]}, "inputs.x.shape: got a list; expected a list of whole numbers"),
        ({"inputs": [{**TENSOR, "shape": [True, 6]}]}, "inputs.x.shape"),
        ({"inputs": [{**TENSOR, "shape": [1] * 65}]}, "inputs.x.shape"),
        ({"inputs": [{**TENSOR, "data": ["a"] * 6}]}, "inputs.x.data"),
        ({"inputs": [{**TENSOR, "shape": [2**40, 0, 2**40], "data": []}]}, "inputs.x: got 0 elements"),
    ],
)
def test_an_error_says_what_is_wrong(document: object, message: str) -> None:
    assert message in str(refusal(document))


def test_data_without_a_type_is_json() -> None:
    np.testing.assert_array_equal(data.bind(data.load(event(ROWS, None)), ONE).tensors[0], ROWS)


@pytest.mark.parametrize("load", [data.load, lambda each: finish(data.load_slices(each))], ids=["at once", "in steps"])
def test_data_that_cannot_be_read_is_refused(load: Any) -> None:  # noqa: ANN401 - one of the two above
    with pytest.raises(BadEvent, match="event data: got nothing; expected the inputs of the model"):
        load(Event("1", "/s", "t", {}, "application/json"))
    with pytest.raises(InvalidInput, match=r"^data: got .* expected a JSON object"):
        load(Event("1", "/s", "t", {}, "application/json", b"{"))
    with pytest.raises(
        UnsupportedContentType, match="got 'text/csv'; expected one of application/json, application/oct"
    ):
        load(Event("1", "/s", "t", {}, "text/csv", b"1,2"))


def test_large_data_is_read_in_steps() -> None:
    rows = [[float(each)] * 3 for each in range(WINDOW // 4)]
    steps = data.load_slices(event({"inputs": rows}))
    assert sum(1 for _ in steps) > 1
    np.testing.assert_array_equal(bind({"inputs": rows}).tensors[0], rows)


@given(json_documents)
def test_any_json_is_read_or_refused(document: object) -> None:
    for signature in (ONE, TWO, OPTIONAL, TEXT):
        try:
            query = data.bind(data.load(event(document)), signature)
        except (InvalidInput, BadEvent):
            continue
        assert len(query.tensors) == len(signature.inputs)


@given(strategies.tensors_of_one_input())
def test_the_inputs_alone_are_read_as_the_predict_api_reads_them(given_: tuple[Signature, np.ndarray]) -> None:
    signature, array = given_
    body = orjson.dumps({"inputs": array.tolist()})
    expected = predict.parse(body, signature)
    query = data.bind(data.load(event(array.tolist())), signature)
    assert query.form == expected.form
    np.testing.assert_array_equal(query.tensors[0], expected.tensors[0])
