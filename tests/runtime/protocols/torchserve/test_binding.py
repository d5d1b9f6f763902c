"""The values of a request to inputs, and invalid values."""

from collections.abc import Callable

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from runtime.errors import InvalidInput
from runtime.model.signature import Signature
from runtime.tensors import STRING
from tests.runtime.protocols.torchserve.requests import (
    JSON,
    ONE,
    PEOPLE,
    TWO,
    bound,
    multipart,
    npy,
    signature,
    tensors,
)
from tests.runtime.tensor_specs import spec

ROWS = [[1.0, 2.0], [3.0, 4.0]]
FORM = "application/x-www-form-urlencoded"
FLOATS = np.array(ROWS, np.float32)


@pytest.mark.parametrize("kind", [JSON, "", "text/plain", "application/vnd.api+json; charset=utf-8"])
@pytest.mark.parametrize("document", [ROWS, {"inputs": ROWS}, {"instances": ROWS}, {"data": ROWS}, {"x": ROWS}])
def test_json_has_rows_bare_or_in_a_wrapper_or_by_name(document: object, kind: str) -> None:
    assert tensors(ONE, b" \n" + orjson.dumps(document) + b"\n", kind) == [ROWS]


def test_json_without_the_first_axis_is_one_row() -> None:
    query = bound(ONE, b"[1, 2]", JSON)
    assert query.form.one_row  # type: ignore[attr-defined]
    assert query.tensors[0].tolist() == [[1, 2]]


@pytest.mark.parametrize(
    "document",
    [{"a": ROWS, "b": [[1, 2], [3, 4]]}, {"inputs": {"a": ROWS, "b": [[1, 2], [3, 4]]}}],
)
def test_json_has_several_inputs_by_name(document: object) -> None:
    assert tensors(TWO, orjson.dumps(document), JSON) == [ROWS, [[1, 2], [3, 4]]]


def test_json_has_records() -> None:
    records = [{"age": 3, "name": "Ann"}, {"age": 5, "name": "Bob"}]
    assert tensors(PEOPLE, orjson.dumps({"instances": records})) == [[[3], [5]], [["Ann"], ["Bob"]]]


def test_a_wrapper_with_the_name_of_an_input_is_the_input() -> None:
    named = signature(spec("data"), spec("inputs"))
    assert tensors(named, orjson.dumps({"data": ROWS, "inputs": ROWS})) == [ROWS, ROWS]
    with pytest.raises(InvalidInput, match=r"inputs\.inputs: got nothing"):
        bound(named, orjson.dumps({"data": ROWS}))
    assert tensors(signature(spec("data")), orjson.dumps({"data": ROWS})) == [ROWS]


@pytest.mark.parametrize("name", ["body", "data"])
@pytest.mark.parametrize("wrap", [lambda inputs: inputs, lambda inputs: {"inputs": inputs}])
def test_json_may_name_an_input_called_body_or_data(name: str, wrap: Callable[[object], object]) -> None:
    inputs = signature(spec(name))
    for document in (ROWS, {name: ROWS}, [{name: row} for row in ROWS]):
        content = orjson.dumps(wrap(document))
        assert tensors(inputs, content, JSON) == [ROWS]
        assert tensors(inputs, *multipart((name, content))) == [ROWS]


@pytest.mark.parametrize("kind", ["", "application/x-npy", "application/octet-stream", "image/jpeg"])
def test_an_npy_file_is_recognized_by_its_first_bytes(kind: str) -> None:
    assert tensors(ONE, npy(FLOATS), kind) == [ROWS]


@pytest.mark.parametrize("array", [FLOATS, FLOATS.astype(">f4"), np.asfortranarray(FLOATS), np.array(ROWS), [[1, 2]]])
def test_an_npy_file_may_have_another_number_type_byte_order_and_layout(array: np.ndarray) -> None:
    [tensor] = bound(ONE, npy(array)).tensors
    assert tensor.dtype == np.float32
    assert tensor.tolist() == np.asarray(array).tolist()


def test_an_npy_file_of_one_row_may_omit_the_first_axis() -> None:
    query = bound(ONE, npy(FLOATS[0]))
    assert query.form.one_row  # type: ignore[attr-defined]
    assert query.tensors[0].tolist() == [ROWS[0]]


@pytest.mark.parametrize("array", [["a", "b"], np.array(["a", "b"], "S")])
def test_an_npy_file_may_have_strings(array: object) -> None:
    assert tensors(signature(spec("x", ("n",), STRING)), npy(array)) == [["a", "b"]]


def test_infinity_and_nan_in_an_npy_file_are_unchanged() -> None:
    [tensor] = bound(ONE, npy([[np.inf, np.nan]])).tensors
    assert np.array_equal(tensor, np.array([[np.inf, np.nan]], np.float32), equal_nan=True)


@pytest.mark.parametrize(
    ("array", "inputs", "message"),
    [
        ([[1e300, 0]], ONE, "too large"),
        ([["a", "b"]], ONE, "a NumPy array of <U1"),
        ([[1, 2]], signature(spec("x", dtype=STRING)), "a NumPy array of int64"),
        (np.array([[b"\xff", b"a"]]), signature(spec("x", dtype=STRING)), "not UTF-8"),
        ([[1.5, 2]], signature(spec("x", dtype="i8")), "1.5"),
        ([[300, 2]], signature(spec("x", dtype="u1")), "300"),
        ([[1, 2, 3]], ONE, r"shape \[1, 3\]"),
        (FLOATS, TWO, "a form with a value for each input: a, b"),
        (FLOATS, signature(spec("x", None, "f4", "sequence")), "as JSON"),
    ],
)
def test_an_npy_file_that_does_not_fit_is_refused(array: object, inputs: Signature, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        bound(inputs, npy(array))


def test_a_boolean_npy_file_is_refused_for_numbers() -> None:
    with pytest.raises(InvalidInput, match="body"):
        bound(ONE, npy([[True, False]]))


@pytest.mark.parametrize("kind", ["application/octet-stream", "", "image/png"])
def test_bytes_are_consecutive_rows(kind: str) -> None:
    assert tensors(ONE, FLOATS.tobytes(), kind) == [ROWS]


def test_bytes_may_be_booleans_or_a_tensor_without_rows() -> None:
    assert tensors(signature(spec("x", dtype="?")), b"\0\1\2\0") == [[[False, True], [True, False]]]
    assert tensors(signature(spec("x", (2, 2), "u1")), b"abcd") == [[[97, 98], [99, 100]]]


def test_bytes_in_brackets_that_are_not_json_are_bytes() -> None:
    assert tensors(signature(spec("x", ("n", 4), "u1")), b"[\0\1]") == [[[91, 0, 1, 93]]]
    assert tensors(signature(spec("x", ("n", 4), "u1")), b"[12]", "application/octet-stream") == [[[91, 49, 50, 93]]]


@pytest.mark.parametrize(
    ("data", "inputs", "message"),
    [
        (b"", ONE, "got 0 bytes; expected JSON, a NumPy array .npy., or its bytes: a multiple of 8"),
        (b"1234567", ONE, "got 7 bytes"),
        (b"123", signature(spec("x", (2, 2), "u1")), "4 for uint8"),
        (b"12345678", signature(spec("x", (2, 2), "u1")), "got 8 bytes; expected .*: 4 for uint8"),
        (b"12345678", signature(spec("x", (), "f4")), "got 8 bytes; expected .*: 4 for float32"),
        (b"123", signature(spec("x", ("n", "m"), "f4")), "do not state the shape"),
        (b"123", signature(spec("x", None, "f4")), "do not state the shape"),
        (b"123", signature(spec("x", ("n", 0), "f4")), "do not state the shape"),
        (b"123", signature(spec("x", dtype="c8")), "do not state the shape"),
        (b"\xff", signature(spec("x", ("n",), STRING)), "text in UTF-8"),
        (b"[1, 2", ONE, "got 5 bytes"),
        (b"[1, 2,]", ONE, "trailing comma|unexpected"),
    ],
)
def test_bytes_that_do_not_fit_are_refused(data: bytes, inputs: Signature, message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        bound(inputs, data)


@pytest.mark.parametrize("shape", [("n",), ("n", 1)])
def test_text_is_one_row_of_a_model_of_strings(shape: tuple[str | int, ...]) -> None:
    query = bound(signature(spec("x", shape, STRING)), "Grüße".encode(), "text/plain")
    assert query.tensors[0].reshape(-1).tolist() == ["Grüße"]
    assert query.form.one_row  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["data", "body", "x"])
@pytest.mark.parametrize("kind", ["", "application/octet-stream"])
@pytest.mark.parametrize("data", [orjson.dumps(ROWS), orjson.dumps({"inputs": ROWS}), npy(FLOATS), FLOATS.tobytes()])
def test_a_part_of_a_form_may_have_the_forms_of_a_body(name: str, kind: str, data: bytes) -> None:
    assert tensors(ONE, *multipart((name, data), kind=kind)) == [ROWS]


def test_parts_may_have_different_forms() -> None:
    parts = multipart(("b", b"[[1, 2], [3, 4]]"), ("a", npy(FLOATS)))
    query = bound(TWO, *parts)
    assert [each.tolist() for each in query.tensors] == [ROWS, [[1, 2], [3, 4]]]
    assert query.form.by_name  # type: ignore[attr-defined]


def test_fields_may_have_numbers_and_text() -> None:
    assert tensors(PEOPLE, b"age=22&name=Ann+%C3%84", FORM) == [[[22]], [["Ann Ä"]]]
    assert tensors(PEOPLE, *multipart(("age", b"22"), ("name", b"7"), file=False)) == [[[22]], [["7"]]]
    assert tensors(ONE, b"data=%5B1%2C2%5D", FORM) == [[[1, 2]]]
    assert tensors(signature(spec("x", ("n", 1), "?")), b"x=true", FORM) == [[[True]]]


def test_an_optional_input_may_be_omitted() -> None:
    inputs = signature(spec("a"), spec("b", None, "f4", "optional"))
    [first, second] = bound(inputs, *multipart(("a", npy(FLOATS)))).tensors
    assert first.tolist() == ROWS
    assert second[()] is None


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ([("data", b"[]"), ("data", b"[]")], "data: got more than one value"),
        ([("y", b"[]")], "y: got a value of that name; expected data, body, or the name of the input: x"),
        ([("x", b"[[1, 2]]"), ("y", b"[]")], r"form\.y: got an unknown input"),
    ],
)
def test_a_form_with_other_names_than_the_inputs_is_refused(parts: list[tuple[str, bytes]], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        bound(ONE, *multipart(*parts))


def test_a_form_without_one_of_the_inputs_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"form\.b: got nothing; expected int64"):
        bound(TWO, *multipart(("a", b"[[1, 2]]")))


def test_a_field_with_invalid_json_is_refused_with_its_value() -> None:
    with pytest.raises(InvalidInput, match=r"age: got 'old'; expected int64\[n, 1\] as JSON"):
        bound(PEOPLE, b"age=old&name=Ann", FORM)
    with pytest.raises(InvalidInput, match=r"age: got '1{64}'"):
        bound(PEOPLE, b"name=Ann&age=" + b"1" * 65, FORM)
    with pytest.raises(InvalidInput, match=r"body: .* at byte"):
        bound(PEOPLE, b"age=[22,]&name=Ann", FORM)


@given(
    st.sampled_from(["f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?"]),
    npst.array_shapes(min_dims=2, max_dims=4, max_side=4),
    st.data(),
)
def test_saved_arrays_and_bytes_are_bound_unchanged(dtype: str, shape: tuple[int, ...], data: st.DataObject) -> None:
    array = data.draw(npst.arrays(dtype, shape))
    inputs = signature(spec("x", ("n", *shape[1:]), dtype))
    for body in (npy(array), array.tobytes()):
        [tensor] = bound(inputs, body, "application/octet-stream").tensors
        assert tensor.dtype == array.dtype
        assert tensor.tobytes() == array.tobytes()
