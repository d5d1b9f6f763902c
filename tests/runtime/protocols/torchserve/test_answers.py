"""Answers: an entry for each row, for any number and size of rows."""

import math

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.model.signature import Signature
from runtime.protocols.input_forms import Form
from runtime.tensors import STRING, Query, TensorSpec, as_array
from tests.runtime.protocols.torchserve.requests import answer_to, content, signature
from tests.runtime.tensor_specs import spec

ROW, ROWS = Form(one_row=True, by_name=False), Form(one_row=False, by_name=False)
OUTPUTS = Signature(
    (spec("x"),), (spec("label", ("n",), "i8"), spec("scores", ("n", 2), "f4"), spec("name", ("n",), STRING))
)
LABELS, SCORES = np.array([1, 0]), np.array([[0.25, 0.75], [0.5, 0.5]], np.float32)
NAMES = np.array(["a", "b"], object)


def answer(form: Form, model: Signature, *outputs: np.ndarray) -> object:
    reply = answer_to(Query((), form=form), model, *outputs)
    assert reply.status == 200
    return orjson.loads(content(reply))


def test_one_output_is_a_list_of_rows_and_one_row_is_its_list() -> None:
    assert answer(ROWS, signature(spec("y")), SCORES) == SCORES.tolist()
    assert answer(ROW, signature(spec("y")), SCORES[:1]) == [0.25, 0.75]
    assert answer(ROW, signature(spec("y", ("n",), "i8")), LABELS[:1]) == [1]


def test_several_outputs_are_an_object_for_each_row() -> None:
    objects = [{"label": 1, "scores": [0.25, 0.75], "name": "a"}, {"label": 0, "scores": [0.5, 0.5], "name": "b"}]
    assert answer(ROWS, OUTPUTS, LABELS, SCORES, NAMES) == objects
    assert answer(ROW, OUTPUTS, LABELS[:1], SCORES[:1], NAMES[:1]) == objects[0]


def test_maps_of_a_classifier_are_objects_in_the_entry_of_their_row() -> None:
    maps = TensorSpec("p", np.dtype("f4"), None, ("sequence", "map of int64"))
    model = Signature((spec("x"),), (spec("label", ("n",), "i8"), maps))
    for count in (2, 3000):
        found = as_array([{0: np.float32(0.25), 1: np.float32(0.75)}] * count)
        entry = {"label": 7, "p": {"0": 0.25, "1": 0.75}}
        assert answer(ROWS, model, np.full(count, 7), found) == [entry] * count
        assert answer(ROW, model, np.full(1, 7), found[:1]) == entry


@pytest.mark.parametrize("total", [np.array(3.0), np.array([1.0, 2.0, 3.0])])
def test_outputs_without_an_entry_for_each_row_are_whole(total: np.ndarray) -> None:
    shape = () if not total.ndim else ("k",)
    model = Signature((spec("x"),), (spec("y"), spec("total", shape, "f4")))
    assert answer(ROWS, model, SCORES, total) == {"y": SCORES.tolist(), "total": total.tolist()}


@given(st.integers(0, 40), st.sampled_from([1, 30, 1001, 70_000]))
def test_the_pieces_of_a_large_answer_are_the_whole_answer(rows: int, width: int) -> None:
    rows = min(rows, 200_000 // width)
    numbers = np.arange(rows * width, dtype=np.int64).reshape(rows, width)
    labels = np.arange(rows)
    model = Signature((spec("x"),), (spec("label", ("n",), "i8"), spec("y", ("n", "w"), "i8")))
    expected = [{"label": label, "y": row} for label, row in zip(labels.tolist(), numbers.tolist(), strict=True)]
    assert answer(ROWS, model, labels, numbers) == expected
    assert answer(ROWS, signature(spec("y")), numbers) == numbers.tolist()


def test_many_rows_are_written_in_pieces_of_bounded_size() -> None:
    labels = np.arange(50_000)
    model = Signature((spec("x"),), (spec("a", ("n",), "i8"), spec("b", ("n",), "i8")))
    reply = answer_to(Query((), form=ROWS), model, labels, labels)
    assert not isinstance(reply.body, bytes)
    assert max(len(piece) for piece in reply.body) < 65536  # type: ignore[union-attr]


def test_nan_and_infinity_are_null() -> None:
    assert answer(ROWS, signature(spec("y")), np.array([[math.nan, math.inf]], np.float32)) == [[None, None]]
