"""The forms of the predict API: the requests that it accepts, and the form of each answer."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InvalidInput
from runtime.model.signature import Signature
from runtime.protocols import predict
from runtime.tensors import STRING, Prediction, TensorSpec
from tests import strategies
from tests.runtime.tensor_specs import spec

FLAT = Signature((spec("x", ("batch", 3)),), (spec("y", ("batch", 1)),))
SCALARS = Signature((spec("x", ("batch",)),), (spec("y", ("batch",)),))
IMAGE = Signature((spec("image", ("batch", 3, 2, 2)),), (spec("y", ("batch", 2)),))
DYNAMIC = Signature((spec("tokens", ("batch", "length"), "i8"),), (spec("y", ("batch", 2)),))
TWO = Signature(
    (spec("a", ("batch", 2)), spec("b", ("batch",), "i8")), (spec("y", ("batch",)), spec("z", ("batch", 2)))
)
FIXED = Signature((spec("x", (2, 2)),), (spec("y", (2, 2)),))
OPEN = Signature((spec("x", None),), (spec("y", None),))
TEXT = Signature((spec("text", ("batch",), STRING),), (spec("label", ("batch",), STRING),))
COLUMNS = Signature(
    (spec("age", ("n", 1), "i8"), spec("sex", ("n", 1), STRING)),
    (spec("score", ("n", 1)), spec("label", ("n",), STRING)),
)
ONE_COLUMN = Signature((spec("x", ("n", 1)),), (spec("y", ("n", 1)),))
FIRST_STEP = Signature(
    (spec("past", ("batch", 2, "past", 4)), spec("new", ("batch", 2, "seq", 4))),
    (spec("present", ("batch", 2, "total", 4)),),
)
ONE_AT_A_TIME = Signature((spec("x", (1, 3)),), (spec("y", (1, 3)),))
SCALED = Signature((spec("x", ("n", 2)), spec("k", ())), (spec("y", ("n", 2)),))
SEQUENCE = Signature((TensorSpec("x", np.dtype("f4"), None, ("sequence",)),), (spec("y", ("n",)),))
OPTIONAL = Signature((TensorSpec("x", np.dtype("f4"), None, ("optional",)), spec("n", ())), (spec("y", ()),))
NOTHING = Signature((), (spec("y", (3,)),))


def body(inputs: object) -> bytes:
    return orjson.dumps({"inputs": inputs})


def answer_to(signature: Signature, sent: bytes, outputs: Sequence[np.ndarray]) -> Any:  # noqa: ANN401 - any JSON value
    """Return the answer's document for a model that returns those outputs."""
    query = predict.parse(sent, signature)
    prediction = Prediction(
        outputs, model="payment-model", version="1.0.0", arrived=0.0, queued=0.0, batched=0.0, ran=0.0
    )
    return orjson.loads(predict.render(query, prediction, signature, latency=0.0012345))


@pytest.mark.parametrize(
    ("signature", "inputs", "tensors", "one_row", "by_name"),
    [
        (FLAT, [1, 2, 3], [[[1, 2, 3]]], True, False),
        (FLAT, [[1, 2, 3]], [[[1, 2, 3]]], False, False),
        (FLAT, [[1, 2, 3], [4, 5, 6]], [[[1, 2, 3], [4, 5, 6]]], False, False),
        (FLAT, {"x": [1, 2, 3]}, [[[1, 2, 3]]], True, True),
        (FLAT, {"x": [[1, 2, 3]]}, [[[1, 2, 3]]], False, True),
        (SCALARS, [1, 2], [[1, 2]], False, False),
        (SCALARS, {"x": 5}, [[5]], True, True),
        (IMAGE, list(range(12)), [np.arange(12).reshape(1, 3, 2, 2).tolist()], True, False),
        (IMAGE, np.arange(12).reshape(3, 2, 2).tolist(), [np.arange(12).reshape(1, 3, 2, 2).tolist()], True, False),
        (IMAGE, np.zeros((2, 3, 2, 2)).tolist(), [np.zeros((2, 3, 2, 2)).tolist()], False, False),
        (DYNAMIC, [7, 8, 9, 10], [[[7, 8, 9, 10]]], True, False),
        (TWO, {"b": 1, "a": [1, 2]}, [[[1, 2]], [1]], True, True),
        (TWO, {"a": [[1, 2], [3, 4]], "b": [1, 2]}, [[[1, 2], [3, 4]], [1, 2]], False, True),
        (FIXED, [[1, 2], [3, 4]], [[[1, 2], [3, 4]]], False, False),
        (OPEN, [[1], [2]], [[[1], [2]]], False, False),
        (OPEN, {"x": 3}, [3], False, True),
        (TEXT, ["a", "b"], [["a", "b"]], False, False),
        (TEXT, {"text": "a"}, [["a"]], True, True),
        (NOTHING, {}, [], False, True),
        (COLUMNS, {"age": [22, 30], "sex": ["f", "m"]}, [[[22], [30]], [["f"], ["m"]]], False, True),
        (COLUMNS, {"age": [22], "sex": ["f"]}, [[[22]], [["f"]]], False, True),
        (COLUMNS, {"age": [[22]], "sex": ["f"]}, [[[22]], [["f"]]], False, True),
        (COLUMNS, {"age": 22, "sex": "f"}, [[[22]], [["f"]]], True, True),
        (COLUMNS, [{"age": 22, "sex": "f"}, {"sex": "m", "age": 30.0}], [[[22], [30]], [["f"], ["m"]]], False, True),
        (COLUMNS, [{"age": 22, "sex": "f"}], [[[22]], [["f"]]], False, True),
        (ONE_COLUMN, [3], [[[3]]], True, False),
        (ONE_COLUMN, [3, 4], [[[3], [4]]], False, False),
        (TWO, [{"a": [1, 2], "b": 1}, {"a": [3, 4], "b": 2}], [[[1, 2], [3, 4]], [1, 2]], False, True),
        (FLAT, [{"x": [1, 2, 3]}], [[[1, 2, 3]]], False, True),
        (
            FIRST_STEP,
            {"past": [[[], []]], "new": np.zeros((1, 2, 1, 4)).tolist()},
            [[[[], []]], np.zeros((1, 2, 1, 4)).tolist()],
            False,
            True,
        ),
        (FLAT, [], [[]], False, False),
        (TWO, {"a": [], "b": []}, [[], []], False, True),
        (ONE_AT_A_TIME, [1, 2, 3], [[[1, 2, 3]]], True, False),
        (ONE_AT_A_TIME, [[1, 2, 3], [4, 5, 6]], [[[1, 2, 3], [4, 5, 6]]], False, False),
        (SCALED, {"x": [[1, 2]], "k": 3}, [[[1, 2]], 3], False, True),
        (SCALED, {"x": [1, 2], "k": 3}, [[[1, 2]], 3], True, True),
        (OPTIONAL, {"x": [1, 2], "n": 1}, [[1, 2], 1], False, True),
    ],
)
def test_each_form_is_parsed_into_the_models_tensors(
    signature: Signature,
    inputs: object,
    tensors: list[object],
    one_row: bool,  # noqa: FBT001 - a parameter of the table
    by_name: bool,  # noqa: FBT001 - as above
) -> None:
    query = predict.parse(body(inputs), signature)
    assert [tensor.tolist() for tensor in query.tensors] == tensors
    assert [tensor.dtype for tensor in query.tensors] == [each.dtype for each in signature.inputs]
    assert query.form == (one_row, by_name)


def S(values: list[str]) -> np.ndarray:  # noqa: N802 - it reads as a type
    return np.array(values, dtype=object)


def F(values: object) -> np.ndarray:  # noqa: N802 - it reads as a type
    return np.array(values, np.float32)


@pytest.mark.parametrize(
    ("signature", "inputs", "outputs", "expected"),
    [
        (FLAT, [1, 2, 3], [F([[0.5]])], [0.5]),
        (FLAT, [[1, 2, 3]], [F([[0.5]])], [[0.5]]),
        (FLAT, {"x": [1, 2, 3]}, [F([[0.5]])], {"y": [0.5]}),
        (FLAT, {"x": [[1, 2, 3]]}, [F([[0.5]])], {"y": [[0.5]]}),
        (FLAT, [1, 2, 3], [F([[np.nan]])], [None]),
        (SCALARS, [1, 2], [F([3, 4])], [3, 4]),
        (SCALARS, {"x": 1}, [F([3])], {"y": 3}),
        (TWO, {"a": [1, 2], "b": 1}, [F([7]), F([[1, 2]])], {"y": 7, "z": [1, 2]}),
        (TWO, {"a": [[1, 2]], "b": [1]}, [F([7]), F([[1, 2]])], {"y": [7], "z": [[1, 2]]}),
        (FIXED, [[1, 2], [3, 4]], [F([[1, 2], [3, 4]])], [[1, 2], [3, 4]]),
        (OPEN, [1, 2], [F(3)], 3),
        (TEXT, ["a"], [np.array(["b"], dtype=object)], ["b"]),
        (TEXT, {"text": "a"}, [np.array(["b"], dtype=object)], {"label": "b"}),
        (NOTHING, {}, [F([1, 2, 3])], {"y": [1, 2, 3]}),
        (COLUMNS, [{"age": 22, "sex": "f"}], [F([[0.5]]), S(["f"])], {"score": [[0.5]], "label": ["f"]}),
        (COLUMNS, {"age": [22], "sex": ["f"]}, [F([[0.5]]), S(["f"])], {"score": [[0.5]], "label": ["f"]}),
        (COLUMNS, {"age": 22, "sex": "f"}, [F([[0.5]]), S(["f"])], {"score": [0.5], "label": "f"}),
        (ONE_AT_A_TIME, [1, 2, 3], [F([[4, 5, 6]])], [4, 5, 6]),
        # Not one row for each row of the inputs, so the answer is the whole array
        (FLAT, [1, 2, 3], [F([[1], [2]])], [[1], [2]]),
        (FLAT, [1, 2, 3], [F(np.zeros((0, 4)))], []),
        (FLAT, [1, 2, 3], [F(7)], 7),
        (SCALED, {"x": [1, 2], "k": 3}, [F([[3, 6]])], {"y": [[3, 6]]}),
        (TWO, {"a": [1, 2], "b": 1}, [F([7]), F(np.zeros((0, 2)))], {"y": 7, "z": []}),
    ],
)
def test_the_answer_has_the_form_of_the_request(
    signature: Signature, inputs: object, outputs: list[np.ndarray], expected: object
) -> None:
    assert answer_to(signature, body(inputs), outputs) == {
        "model_name": "payment-model",
        "model_version": "1.0.0",
        "outputs": expected,
        "latency_ms": 1.234,
    }


def test_a_number_beyond_the_range_of_the_input_is_refused_in_a_single_row() -> None:
    with pytest.raises(InvalidInput, match=r"inputs\[2\]: got 1e\+39; expected a number or null within"):
        predict.parse(body([1, 2, 1e39]), FLAT)


def test_a_model_with_several_outputs_always_answers_by_name() -> None:
    signature = Signature((spec("x", ("n", 1)),), (spec("label", ("n",), "i8"), spec("p", None, STRING)))
    probabilities = np.empty(1, dtype=object)
    probabilities[0] = {0: 0.25, 1: 0.75}
    outputs = answer_to(signature, body([3]), [np.array([1]), probabilities])["outputs"]
    assert outputs == {"label": 1, "p": {"0": 0.25, "1": 0.75}}


@given(example=strategies.tensors_of_one_input(), by_name=st.booleans())
@pytest.mark.filterwarnings("ignore:overflow encountered in dot")
def test_an_identity_model_answers_with_its_inputs(
    example: tuple[Signature, np.ndarray],
    by_name: bool,  # noqa: FBT001 - hypothesis passes it by keyword
) -> None:
    signature, array = example
    inputs = {"x": array.tolist()} if by_name else array.tolist()
    query = predict.parse(body(inputs), signature)
    np.testing.assert_array_equal(query.tensors[0], array)
    outputs = answer_to(signature, body(inputs), query.tensors)["outputs"]
    again = np.array(outputs["y"] if by_name else outputs, array.dtype)
    np.testing.assert_array_equal(again.reshape(array.shape), array)


@pytest.mark.parametrize(
    ("signature", "sent", "message"),
    [
        (FLAT, b"[1,2,3]", 'body: got a list; expected an object with "inputs"'),
        (FLAT, b"null", 'body: got null; expected an object with "inputs"'),
        (FLAT, b'"x"', 'body: got "x"; expected an object with "inputs"'),
        (FLAT, b"{}", 'inputs: got an empty object; expected an object with "inputs"'),
        (FLAT, b'{"input":[1]}', 'inputs: got an object with "input"; expected an object with "inputs"'),
        (FLAT, b'{"inputs":[1,2,3],"id":7}', 'id: got an unknown field; expected only "inputs"'),
        (FLAT, body(None), "inputs: got null; expected a list, or an object of named tensors"),
        (FLAT, body(5), "inputs: got 5; expected a list, or an object of named tensors"),
        (FLAT, body("a,b"), 'inputs: got "a,b"; expected a list, or an object of named tensors'),
        (FLAT, body([[]]), "inputs: got no elements; expected float32[batch, 3]"),
        (TEXT, body({"text": [[]]}), "inputs.text: got no elements; expected string[batch]"),
        (FIXED, body([]), "inputs: got no elements; expected float32[2, 2]"),
        (FLAT, body([[[1]]]), "inputs: got shape [1, 1, 1]; expected one row [3] or rows float32[batch, 3]"),
        (IMAGE, body([1, 2]), "inputs: got shape [2]; expected one row [3, 2, 2] or rows float32[batch, 3, 2, 2]"),
        (DYNAMIC, body([[[1]]]), "inputs: got shape [1, 1, 1]; expected one row or rows int64[batch, length]"),
        (FIXED, body([1, 2]), "inputs: got shape [2]; expected float32[2, 2]"),
        (FLAT, body({"X": [1, 2, 3]}), "inputs.X: got an unknown input; expected one of x"),
        (IMAGE, body({"imag": [1]}), "inputs.imag: got an unknown input; expected one of image, perhaps image"),
        (TWO, body({"a": [1, 2]}), "inputs.b: got nothing; expected int64[batch]"),
        (
            TWO,
            body([1, 2]),
            "inputs: got a list; expected an object or a list of objects, as this model has several inputs: a, b",
        ),
        (
            TWO,
            body({"a": [1, 2], "b": [1]}),
            "inputs: got one row in some inputs, rows in others; expected the same form in all inputs",
        ),
        (SCALED, body({"x": [[1, 2]], "k": [1, 2]}), "inputs.k: got shape [2]; expected float32[]"),
        (COLUMNS, body([{"age": 22, "sex": "f"}, 5]), "inputs[1]: got 5; expected an object, like inputs[0]"),
        (COLUMNS, body([{"age": 22, "sex": "f"}, {"age": 1}]), "inputs[1].sex: got nothing; expected string[n, 1]"),
        (
            COLUMNS,
            body([{"age": 22, "sex": "f", "agge": 1}]),
            "inputs[0].agge: got an unknown input; expected one of age, sex, perhaps age",
        ),
        (
            COLUMNS,
            body([{"age": 22, "sex": "f"}, {"age": 1.5, "sex": "m"}]),
            "inputs[1].age: got 1.5; expected a whole number from",
        ),
        (
            COLUMNS,
            body([{"age": [[1, 2]], "sex": "f"}]),
            "inputs[0].age: got shape [1, 2] in each record; expected one row [1] or rows int64[n, 1]",
        ),
        (COLUMNS, body([{"age": 22}, {}]), "inputs[0].sex: got nothing; expected string[n, 1]"),
        (SCALED, body([{"x": [1, 2], "k": 1}]), "inputs: got a list; expected an object or a list of objects, as this"),
        (SEQUENCE, body([[1], {}]), "inputs[1]: got an object; expected a number or null (float32[?])"),
        (OPTIONAL, body({"x": [1]}), "inputs.n: got nothing; expected float32[]"),
        (NOTHING, body({"x": 1}), "inputs.x: got an unknown input; expected no input"),
        (NOTHING, body([1]), "inputs: got a list; expected an object or a list of objects, as this model has no input"),
        (FLAT, body([1, "2", 3]), 'inputs[1]: got "2"; expected a number or null (float32[batch, 3])'),
        (
            FLAT,
            body({"x": [[1, 2, 3], [1, 2]]}),
            "inputs.x[1]: got 2 elements where inputs.x[0] has 3; expected a number",
        ),
    ],
)
def test_an_error_states_the_field_the_value_and_what_is_allowed(
    signature: Signature, sent: bytes, message: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        predict.parse(sent, signature)
    assert str(refused.value).startswith(message)


def test_the_signature_refuses_a_flat_row_of_the_wrong_length() -> None:
    query = predict.parse(body([1, 2]), FLAT)
    with pytest.raises(InvalidInput, match=r"inputs\.x: got shape \[1, 2\]; expected float32\[batch, 3\]"):
        FLAT.validate(query.tensors)


def test_the_last_of_equal_fields_is_used() -> None:
    """JSON does not define it (RFC 8259, section 4); most parsers do the same."""
    query = predict.parse(b'{"inputs":[1,2,3],"inputs":[4,5,6]}', FLAT)
    assert query.tensors[0].tolist() == [[4, 5, 6]]


@pytest.mark.parametrize(
    "sent",
    [
        b'{"' + b"x" * 100_000 + b'":1}',
        b'{"inputs":1,"' + b"x" * 100_000 + b'":1}',
        body({"x" * 100_000: [1]}),
        body(["x" * 100_000]),
        body("x" * 100_000),
        b"x" * 100_000,
    ],
)
def test_an_error_message_is_short_for_any_request(sent: bytes) -> None:
    with pytest.raises(InvalidInput) as refused:
        predict.parse(sent, FLAT)
    assert len(str(refused.value)) < 300


def test_an_optional_input_may_be_omitted_or_null() -> None:
    for inputs in ({"n": 1}, {"x": None, "n": 1}):
        absent, _ = predict.parse(body(inputs), OPTIONAL).tensors
        assert (absent.shape, absent.item()) == ((), None)


def test_a_sequence_is_a_list_of_tensors() -> None:
    (sequence,) = predict.parse(body([[1], [2, 3]]), SEQUENCE).tensors
    assert [each.tolist() for each in sequence] == [[1], [2, 3]]


def test_a_document_of_a_sliced_body_is_bound_like_a_small_body() -> None:
    rows = [[1, 2, 3], [4, 5, 6]]
    for inputs in (np.array(rows), {"x": np.array(rows, np.float64)}):
        (tensor,) = predict.bind({"inputs": inputs}, FLAT).tensors
        assert (tensor.tolist(), tensor.dtype) == (rows, np.dtype("f4"))
    with pytest.raises(InvalidInput, match=r"inputs\[1\]: got null; expected a whole number"):
        predict.bind({"inputs": np.array([1.0, np.nan])}, Signature((spec("x", ("n",), "i8"),), (spec("y", ("n",)),)))


def test_an_error_lists_at_most_20_names() -> None:
    many = Signature(tuple(spec(f"x{index}", ("n",)) for index in range(1000)), (spec("y", ("n",)),))
    with pytest.raises(InvalidInput, match="x18, x19 and 980 more"):
        predict.parse(body([1]), many)
    with pytest.raises(InvalidInput, match="x19 and 980 more, perhaps x1"):
        predict.parse(body({**{f"x{index}": [1] for index in range(1000)}, "x1_": [1]}), many)


ALL = (
    COLUMNS,
    ONE_COLUMN,
    FIRST_STEP,
    ONE_AT_A_TIME,
    SCALED,
    SEQUENCE,
    OPTIONAL,
    FLAT,
    SCALARS,
    IMAGE,
    DYNAMIC,
    TWO,
    FIXED,
    OPEN,
    TEXT,
    NOTHING,
)


@given(garbage=st.binary(max_size=60), signature=st.sampled_from(ALL))
def test_any_bytes_are_parsed_or_refused(garbage: bytes, signature: Signature) -> None:
    _parse_or_refuse(garbage, signature)


@given(document=strategies.json_values, signature=st.sampled_from(ALL), wrapped=st.booleans())
@pytest.mark.filterwarnings("ignore:overflow encountered in dot")
def test_any_json_is_parsed_or_refused(
    document: Any,  # noqa: ANN401 - any JSON value
    signature: Signature,
    wrapped: bool,  # noqa: FBT001 - hypothesis passes it by keyword
) -> None:
    try:
        sent = orjson.dumps({"inputs": document} if wrapped else document)
    except TypeError:  # integers beyond 64 bits
        return
    _parse_or_refuse(sent, signature)


def _parse_or_refuse(sent: bytes, signature: Signature) -> None:
    try:
        query = predict.parse(sent, signature)
        signature.validate(query.tensors)
    except InvalidInput as refused:
        assert refused.details["field"]  # noqa: PT017 - either is right


@pytest.mark.parametrize("depth", [64, 65, 300, 900, 1022, 1023, 1024, 100_000])
@pytest.mark.parametrize("signature", [FLAT, TEXT, OPEN])
@pytest.mark.parametrize("around", [(b"[", b"]"), (b'{"a":', b"}")])
def test_deep_nesting_is_refused(depth: int, signature: Signature, around: tuple[bytes, bytes]) -> None:
    before, after = around
    with pytest.raises(InvalidInput):
        predict.parse(b'{"inputs":[' + before * depth + b"1" + after * depth + b"]}", signature)
