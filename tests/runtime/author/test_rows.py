"""The argument of `predict` is converted like JSON; slices do not change the result."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from runtime.author import rows
from runtime.errors import InvalidInput
from runtime.model.signature import Signature
from runtime.protocols.json import tensors as json_tensors
from runtime.tensors import STRING, TensorSpec

FLOATS = TensorSpec("x", np.dtype(np.float32), (None, 3))
INTS = TensorSpec("n", np.dtype(np.int64), (None,))


def signature(*inputs: TensorSpec) -> Signature:
    return Signature(inputs, (FLOATS,))


def refusal(value: object, spec: TensorSpec = FLOATS, *, at_once: int = 4) -> dict[str, Any]:
    with pytest.raises(InvalidInput) as refused:
        rows.tensor("rows.x", value, spec, at_once=at_once)
    return dict(refused.value.details)


@given(
    array=npst.arrays(np.float32, npst.array_shapes(min_dims=0, max_dims=4, max_side=5), elements=st.floats(width=32)),
    at_once=st.integers(1, 20),
)
def test_a_conversion_in_slices_equals_a_conversion_in_one_piece(array: np.ndarray, at_once: int) -> None:
    finite = np.nan_to_num(array, posinf=1.0, neginf=-1.0)
    spec = TensorSpec("x", np.dtype(np.float32), None)
    converted = rows.tensor("x", finite.tolist(), spec, at_once=at_once)
    assert converted.dtype == np.float32
    assert converted.shape == finite.shape
    np.testing.assert_array_equal(converted, finite)


@pytest.mark.parametrize("at_once", [1, 4, 100])
def test_tuples_and_arrays_are_converted_like_lists(at_once: int) -> None:
    for row in ((1.0, 2.0, 3.0), np.array([1.0, 2.0, 3.0])):
        assert rows.tensor("x", [row] * 4, FLOATS, at_once=at_once).tolist() == [[1.0, 2.0, 3.0]] * 4


def test_strings_and_numbers_beyond_float64_are_converted_exactly() -> None:
    texts = [["a", "b"], ["c", "d" * 100]]
    assert rows.tensor("x", texts, TensorSpec("x", STRING, None), at_once=1).tolist() == texts
    large = [2**63 - 1 - index for index in range(10)]
    assert rows.tensor("n", large, INTS, at_once=3).tolist() == large


@given(index=st.integers(0, 30), at_once=st.integers(1, 40))
def test_the_error_has_the_index_in_the_whole_list(index: int, at_once: int) -> None:
    flat: list[object] = [1.0] * 31
    flat[index] = "a"
    found = refusal(flat, at_once=at_once)
    assert (found["field"], found["got"]) == (f"rows.x[{index}]", '"a"')
    nested = [[each, 2.0] for each in flat]
    assert refusal(nested, at_once=at_once)["field"] == f"rows.x[{index}][0]"


@pytest.mark.parametrize("at_once", [1, 2, 3, 4, 10, 100])
@pytest.mark.parametrize(
    ("value", "field"),
    [
        ([[1, 2, 3]] * 5 + [[1, 2]], "rows.x[5]"),
        ([[1, 2, 3]] * 4 + [7, [1, 2, 3]], "rows.x[4]"),
        ([(1, 2, 3)] * 5 + [(1, 2)], "rows.x"),
        ([np.ones(3)] * 11 + [np.ones(2)], "rows.x"),
        ([[[1, 2], [3, 4]]] * 3 + [[[1, 2], [3]]], "rows.x"),
    ],
)
def test_lists_of_unequal_length_are_rejected_with_any_slice_size(value: list[Any], field: str, at_once: int) -> None:
    assert refusal(value, at_once=at_once)["field"].startswith(field)


def test_lists_that_contain_themselves_are_rejected() -> None:
    circle: list[object] = []
    circle.append(circle)
    assert refusal(circle)["got"] == "lists more than 64 deep"
    assert refusal([[1.0, 2.0], circle, [1.0, 2.0], [1.0, 2.0]])["field"].startswith("rows.x")
    twice: list[object] = []
    twice.extend([twice, twice])
    assert refusal(twice)["got"] == "lists more than 64 deep"


def test_rows_belong_to_the_first_input_or_to_named_inputs() -> None:
    converted = rows.tensors([[1, 2, 3]], signature(FLOATS))
    assert [each.tolist() for each in converted] == [[[1.0, 2.0, 3.0]]]
    converted = rows.tensors({"n": (4,), "x": np.ones((1, 3))}, signature(FLOATS, INTS))
    assert [each.tolist() for each in converted] == [[[1.0, 1.0, 1.0]], [4]]
    assert [each.dtype for each in converted] == [FLOATS.dtype, INTS.dtype]


def test_an_array_of_the_right_type_is_not_copied() -> None:
    given_array = np.ones((1, 3), np.float32)
    assert rows.tensors(given_array, signature(FLOATS))[0] is given_array


@pytest.mark.parametrize(
    ("given_rows", "field", "got"),
    [
        ([[1, 2, 3]], "rows.n", "nothing"),
        ({"x": [[1, 2, 3]], "n": [1], "age": [1]}, "rows.age", "an unknown input"),
        ({"x": np.ones((1, 3), np.complex64), "n": [1]}, "rows.x", "element type complex64"),
        ({"x": [[1, 2, 3]], "n": [1.5]}, "rows.n[0]", "1.5"),
    ],
)
def test_rows_that_do_not_fit_the_inputs_are_rejected(given_rows: Any, field: str, got: str) -> None:  # noqa: ANN401 - an author may pass anything
    with pytest.raises(InvalidInput) as refused:
        rows.tensors(given_rows, signature(FLOATS, INTS))
    assert (refused.value.details["field"], refused.value.details["got"]) == (field, got)


def test_no_conversion_has_more_elements_than_one_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    """NumPy holds the GIL during a conversion, so the event loop has to wait."""
    sizes: list[int] = []
    convert = json_tensors.tensor

    def recording(field: str, value: object, spec: TensorSpec) -> np.ndarray:
        converted = convert(field, value, spec)
        sizes.append(converted.size)
        return converted

    monkeypatch.setattr(json_tensors, "tensor", recording)
    for shape in ((100_000,), (3, 50_000), (50_000, 3), (2, 3, 40_000)):
        converted = rows.tensor("x", np.zeros(shape).tolist(), TensorSpec("x", np.dtype(np.float32), None))
        assert converted.shape == shape
    assert 0 < max(sizes) <= 16_384
