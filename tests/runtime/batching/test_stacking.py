"""Joining and splitting: each request gets its own rows, and no row is lost."""

import numpy as np
import pytest
from hypothesis import given

from runtime.batching.stacking import NotABatchAxis, Tensors, check_rows, join, shapes_of, split
from tests import strategies


@given(made=strategies.requests())
def test_split_after_join_gives_each_request_its_own_rows(made: tuple[list[list[np.ndarray]], list[int]]) -> None:
    requests, rows = made
    answers = split(join(requests), rows)
    assert len(answers) == len(requests)
    for answer, request in zip(answers, requests, strict=True):
        for got, sent in zip(answer, request, strict=True):
            assert got.dtype == sent.dtype
            np.testing.assert_array_equal(got, sent)


@given(made=strategies.requests())
def test_requests_that_fit_together_have_equal_shapes(made: tuple[list[list[np.ndarray]], list[int]]) -> None:
    assert len({shapes_of(request, len(request[0])) for request in made[0]}) == 1


def test_a_single_request_is_not_copied() -> None:
    rows = np.zeros((2, 3), np.float32)
    assert join([[rows]])[0] is rows
    assert split([rows], [2])[0][0] is rows


@pytest.mark.parametrize("output", [np.zeros((2, 1)), np.zeros((4, 1)), np.array([7.0]), np.array(7.0)])
@pytest.mark.parametrize("rows", [[3], [1, 2]])
def test_an_output_with_a_different_number_of_rows_is_an_error(output: np.ndarray, rows: list[int]) -> None:
    outputs: Tensors = [np.zeros((3, 1)), output]
    with pytest.raises(NotABatchAxis, match="for 3 rows of input"):
        split(outputs, rows)


@pytest.mark.parametrize("shapes", [((2, 3), (1, 3)), ((2, 3), ())])
def test_a_request_whose_inputs_have_different_numbers_of_rows_shares_no_run(
    shapes: tuple[tuple[int, ...], ...],
) -> None:
    assert shapes_of([np.zeros(shape) for shape in shapes], 1) == (shapes, True)


def test_the_rows_of_a_list_are_its_items() -> None:
    check_rows([[{"yes": 1.0}, {"yes": 0.0}]], 2)  # type: ignore[list-item] # a sequence of maps, as ZipMap returns
    with pytest.raises(NotABatchAxis, match="has 2 rows for 3 rows of input"):
        check_rows([np.zeros((3, 1)), np.zeros((2, 1))], 3)
