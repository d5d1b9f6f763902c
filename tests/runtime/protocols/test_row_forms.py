"""The forms of a tensor: each is converted to the model's shape, and reported as one row or rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InvalidInput
from runtime.protocols.row_forms import EITHER, MANY, ONE, Rows, in_records, in_rows, one_row
from runtime.tensors import Shape, TensorSpec


def spec(shape: Shape | None) -> TensorSpec:
    return TensorSpec("x", np.dtype("f4"), shape)


@pytest.mark.parametrize(
    ("shape", "sent", "expected_shape", "rows"),
    [
        (("batch", 3), (2, 3), (2, 3), MANY),
        (("batch", 3), (3,), (1, 3), ONE),
        (("batch", 3), (5,), (1, 5), ONE),  # the signature checks the length later
        (("batch",), (2,), (2,), MANY),
        (("batch",), (), (1,), ONE),
        (("batch", 3, 2, 2), (12,), (1, 3, 2, 2), ONE),
        (("batch", 3, 2, 2), (3, 2, 2), (1, 3, 2, 2), ONE),
        ((1, 3), (3,), (1, 3), ONE),
        ((1, 3), (4, 3), (4, 3), MANY),
        ((1, 2, 2), (4,), (1, 2, 2), ONE),
        (("batch", 1), (2,), (2, 1), MANY),
        (("batch", 1), (1,), (1, 1), EITHER),
        (("batch", 1), (), (1, 1), ONE),
        (("batch", 1), (4, 1), (4, 1), MANY),
        (("batch", 2, 1), (2, 1), (1, 2, 1), ONE),
        ((), (), (), None),
        (None, (2, 0), (2, 0), None),
        ((2, 2), (2, 2), (2, 2), MANY),
        # Without elements
        (("n",), (0,), (0,), MANY),
        (("batch", 3), (0,), (0, 3), MANY),
        (("batch", "length"), (1, 0), (1, 0), MANY),
        (("batch", "length"), (0,), (1, 0), ONE),
        (("batch", 2, "past", 4), (1, 2, 0), (1, 2, 0, 4), MANY),
        (("batch", 2, "past", 4), (2, 0), (1, 2, 0, 4), ONE),
        ((0,), (0,), (0,), MANY),
        ((2, 0, 4), (2, 0), (2, 0, 4), MANY),
    ],
)
def test_each_form_is_converted_to_the_shape_of_the_model(
    shape: Shape | None, sent: tuple[int, ...], expected_shape: tuple[int, ...], rows: Rows
) -> None:
    array = np.arange(np.prod(sent), dtype=np.float32).reshape(sent)
    got, form = in_rows("inputs", array, spec(shape))
    assert (got.shape, form) == (expected_shape, rows)
    np.testing.assert_array_equal(got.ravel(), array.ravel())


@pytest.mark.parametrize(
    ("shape", "sent", "message"),
    [
        (("batch", 3), (1, 1, 1), r"shape \[1, 1, 1\]; expected one row \[3\] or rows float32\[batch, 3\]"),
        (("batch", "n"), (), r"shape \[\]; expected one row or rows float32\[batch, n\]"),
        (("batch", "n", "m"), (4,), r"shape \[4\]; expected one row or rows float32\[batch, n, m\]"),
        ((2, 2), (2,), r"shape \[2\]; expected float32\[2, 2\]"),
        ((), (2,), r"shape \[2\]; expected float32\[\]"),
        (("batch", 3), (1, 0), r"no elements; expected float32\[batch, 3\]"),
        ((2, 2), (0,), r"no elements; expected float32\[2, 2\]"),
        (("batch", 2, 4), (1, 0), r"no elements; expected float32\[batch, 2, 4\]"),
        (("batch", 2, "past", "size"), (1, 2, 0), r"no elements; expected float32\[batch, 2, past, size\]"),
        ((), (0,), r"no elements; expected float32\[\]"),
    ],
)
def test_another_number_of_axes_is_refused(shape: Shape, sent: tuple[int, ...], message: str) -> None:
    with pytest.raises(InvalidInput, match=f"^inputs: got {message}$"):
        in_rows("inputs", np.zeros(sent, np.float32), spec(shape))


@pytest.mark.parametrize(
    ("shape", "sent", "expected_shape"),
    [(("n", 1), (2,), (2, 1)), (("n",), (2,), (2,)), (("n", 3), (2, 3), (2, 3)), (("n", 2, 1), (4, 2), (4, 2, 1))],
)
def test_a_field_of_records_has_its_rows(shape: Shape, sent: tuple[int, ...], expected_shape: tuple[int, ...]) -> None:
    assert in_records("inputs[0].x", np.zeros(sent, np.float32), spec(shape)).shape == expected_shape


@pytest.mark.parametrize(("shape", "sent"), [(("n", 3), (2,)), (("n",), (2, 1)), (("n", 2, 2), (3, 4))])
def test_a_field_of_records_with_other_axes_is_refused(shape: Shape, sent: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInput, match=r"^inputs\[0\]\.x: got shape .* in each record; expected one row"):
        in_records("inputs[0].x", np.zeros(sent, np.float32), spec(shape))


@pytest.mark.parametrize(
    ("forms", "expected"),
    [
        ([ONE], True),
        ([MANY], False),
        ([EITHER], True),
        ([None], False),
        ([], False),
        ([ONE, None, EITHER], True),
        ([MANY, None, EITHER], False),
        ([EITHER, EITHER], False),  # the form of columns does not depend on the number of rows
    ],
)
def test_the_forms_of_the_inputs_decide_whether_a_request_is_one_row(forms: list[Rows], expected: bool) -> None:  # noqa: FBT001 - a parameter of the table
    assert one_row(forms, inputs=len(forms)) is expected


def test_one_row_together_with_rows_is_refused() -> None:
    with pytest.raises(InvalidInput, match="inputs: got one row in some inputs, rows in others; expected the same"):
        one_row([ONE, MANY], inputs=2)


@given(
    shape=st.lists(st.integers(0, 3) | st.sampled_from(["n", None]), max_size=4),
    sent=st.lists(st.integers(0, 3), max_size=5),
)
def test_any_form_gets_as_many_axes_as_the_model_has_or_is_refused(
    shape: list[int | str | None], sent: list[int]
) -> None:
    array = np.zeros(sent, np.float32)
    try:
        got, rows = in_rows("inputs", array, spec(tuple(shape)))
    except InvalidInput:
        return
    assert (got.ndim, got.size) == (len(shape), array.size)
    assert rows in (ONE, MANY, EITHER, None)
