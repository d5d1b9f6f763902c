"""The predict API's forms: what may be asked, and how the answer mirrors it."""

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.artifacts.fetch import Artifact
from runtime.batching.batcher import Batcher
from runtime.batching.independence import Standing, State
from runtime.batching.policy import Limits
from runtime.batching.run import Computation
from runtime.errors import InvalidInput
from runtime.model.signature import STRING, Shape, Signature, TensorSpec
from runtime.predictor import ReadyModel
from runtime.protocols import predict
from runtime.tensors import Prediction
from tests import strategies


def spec(name: str, shape: Shape | None, dtype: npt.DTypeLike = "f4") -> TensorSpec:
    return TensorSpec(name, np.dtype(dtype), shape)


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
NOTHING = Signature((), (spec("y", (3,)),))


def body(inputs: object) -> bytes:
    return orjson.dumps({"inputs": inputs})


ARTIFACT = Artifact(uri="m.onnx", path=Path("m.onnx"), sha256=None, size=0)


def answered(signature: Signature, sent: bytes, outputs: Sequence[np.ndarray]) -> Any:  # noqa: ANN401 - any JSON value
    """The document that answers the request, where the model gives those outputs."""
    query = predict.parse(sent, signature)
    prediction = Prediction(outputs, model="m", version="1", arrived=0.0, queued=0.0, batched=0.0, ran=0.0)

    async def rendered() -> bytes:
        limits = Limits(batch_size=1, max_wait=0, timeout=1, queue_size=1)
        computation = Computation.of(lambda tensors: tensors)
        batcher = Batcher(computation, limits, Standing(State.OFF, "one request"))
        model = ReadyModel("payment-model", "1.0.0", ARTIFACT, signature, batcher)
        text = predict.render(query, model, prediction, latency=0.0012345)
        await batcher.close()
        return text

    return orjson.loads(asyncio.run(rendered()))


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
    ],
)
def test_each_form_is_read_as_what_it_means(
    signature: Signature,
    inputs: object,
    tensors: list[object],
    one_row: bool,  # noqa: FBT001 - a parameter of the table
    by_name: bool,  # noqa: FBT001 - as above
) -> None:
    query = predict.parse(body(inputs), signature)
    assert [tensor.tolist() for tensor in query.tensors] == tensors
    assert [tensor.dtype for tensor in query.tensors] == [each.dtype for each in signature.inputs]
    assert (query.one_row, query.by_name) == (one_row, by_name)


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
    ],
)
def test_the_answer_mirrors_the_form_asked(
    signature: Signature, inputs: object, outputs: list[np.ndarray], expected: object
) -> None:
    assert answered(signature, body(inputs), outputs) == {
        "model_name": "payment-model",
        "model_version": "1.0.0",
        "outputs": expected,
        "latency_ms": 1.234,
    }


def test_a_model_with_several_outputs_always_answers_by_name() -> None:
    signature = Signature((spec("x", ("n", 1)),), (spec("label", ("n",), "i8"), spec("p", None, STRING)))
    chances = np.empty(1, dtype=object)
    chances[0] = {0: 0.25, 1: 0.75}
    outputs = answered(signature, body([3]), [np.array([1]), chances])["outputs"]
    assert outputs == {"label": 1, "p": {"0": 0.25, "1": 0.75}}


@given(made=strategies.tensors_of_one_input(), by_name=st.booleans())
@pytest.mark.filterwarnings("ignore:overflow encountered in dot")
def test_what_is_sent_comes_back_through_a_model_that_changes_nothing(
    made: tuple[Signature, np.ndarray],
    by_name: bool,  # noqa: FBT001 - hypothesis gives it by keyword
) -> None:
    signature, array = made
    inputs = {"x": array.tolist()} if by_name else array.tolist()
    query = predict.parse(body(inputs), signature)
    np.testing.assert_array_equal(query.tensors[0], array)
    outputs = answered(signature, body(inputs), query.tensors)["outputs"]
    again = np.array(outputs["y"] if by_name else outputs, array.dtype)
    np.testing.assert_array_equal(again.reshape(array.shape), array)


@pytest.mark.parametrize(
    ("signature", "sent", "told"),
    [
        (FLAT, b"[1,2,3]", 'body: got a list; expected an object with "inputs"'),
        (FLAT, b"null", 'body: got null; expected an object with "inputs"'),
        (FLAT, b'"x"', 'body: got "x"; expected an object with "inputs"'),
        (FLAT, b"{}", 'inputs: got an empty object; expected an object with "inputs"'),
        (FLAT, b'{"input":[1]}', 'inputs: got an object with "input"; expected an object with "inputs"'),
        (FLAT, b'{"inputs":[1,2,3],"id":7}', 'id: got an unknown field; expected "inputs" alone'),
        (FLAT, body(None), "inputs: got null; expected a list, or an object of named tensors"),
        (FLAT, body(5), "inputs: got 5; expected a list, or an object of named tensors"),
        (FLAT, body("a,b"), 'inputs: got "a,b"; expected a list, or an object of named tensors'),
        (FLAT, body([]), "inputs: got no elements; expected float32[batch, 3]"),
        (FLAT, body([[]]), "inputs: got no elements; expected float32[batch, 3]"),
        (TEXT, body({"text": [[]]}), "inputs.text: got no elements; expected string[batch]"),
        (DYNAMIC, body([[]]), "inputs: got no elements; expected int64[batch, length]"),
        (FLAT, body([[[1]]]), "inputs: got shape [1, 1, 1]; expected one row [3] or rows float32[batch, 3]"),
        (IMAGE, body([1, 2]), "inputs: got shape [2]; expected one row [3, 2, 2] or rows float32[batch, 3, 2, 2]"),
        (DYNAMIC, body([[[1]]]), "inputs: got shape [1, 1, 1]; expected one row or rows int64[batch, length]"),
        (FIXED, body([1, 2]), "inputs: got shape [2]; expected float32[2, 2]"),
        (FLAT, body({"X": [1, 2, 3]}), "inputs.X: got an unknown input; expected one of x"),
        (IMAGE, body({"imag": [1]}), "inputs.imag: got an unknown input; expected one of image, perhaps image"),
        (TWO, body({"a": [1, 2]}), "inputs.b: got nothing; expected int64[batch]"),
        (TWO, body([1, 2]), "inputs: got a list; expected an object, as this model has several inputs: a, b"),
        (
            TWO,
            body({"a": [1, 2], "b": [1]}),
            "inputs: got one row in some inputs, rows in others; expected the same form in each",
        ),
        (FLAT, body([1, "2", 3]), 'inputs[1]: got "2"; expected a number or null (float32[batch, 3])'),
        (
            FLAT,
            body({"x": [[1, 2, 3], [1, 2]]}),
            "inputs.x[1]: got 2 elements where inputs.x[0] has 3; expected a number",
        ),
    ],
)
def test_a_refusal_names_the_field_what_came_and_what_would_be_right(
    signature: Signature, sent: bytes, told: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        predict.parse(sent, signature)
    assert str(refused.value).startswith(told)


def test_a_flat_row_of_the_wrong_length_is_left_to_the_signature() -> None:
    query = predict.parse(body([1, 2]), FLAT)
    with pytest.raises(InvalidInput, match=r"inputs\.x: got shape \[1, 2\]; expected float32\[batch, 3\]"):
        FLAT.validate(query.tensors)


def test_of_a_field_given_twice_the_last_one_counts() -> None:
    """JSON leaves it open (RFC 8259, section 4); this is what most readers do."""
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
def test_a_refusal_never_repeats_more_than_a_line_of_what_came(sent: bytes) -> None:
    with pytest.raises(InvalidInput) as refused:
        predict.parse(sent, FLAT)
    assert len(str(refused.value)) < 300


ALL = (FLAT, SCALARS, IMAGE, DYNAMIC, TWO, FIXED, OPEN, TEXT, NOTHING)


@given(garbage=st.binary(max_size=60), signature=st.sampled_from(ALL))
def test_any_bytes_are_read_or_refused(garbage: bytes, signature: Signature) -> None:
    _read_or_refused(garbage, signature)


@given(document=strategies.json_values, signature=st.sampled_from(ALL), wrapped=st.booleans())
@pytest.mark.filterwarnings("ignore:overflow encountered in dot")
def test_any_json_is_read_or_refused(
    document: Any,  # noqa: ANN401 - any JSON value
    signature: Signature,
    wrapped: bool,  # noqa: FBT001 - hypothesis gives it by keyword
) -> None:
    try:
        sent = orjson.dumps({"inputs": document} if wrapped else document)
    except TypeError:  # integers beyond 64 bits
        return
    _read_or_refused(sent, signature)


def _read_or_refused(sent: bytes, signature: Signature) -> None:
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
