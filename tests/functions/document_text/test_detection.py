"""The input of the detection and the boxes from its output are those of rapidocr."""

from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.document_text import detection, images
from tests.functions.document_text.pictures import PICTURES

ROWS, COLUMNS = 160, 224
RECTANGLES = st.lists(
    st.tuples(
        st.tuples(st.integers(0, COLUMNS), st.integers(0, ROWS)),
        st.tuples(st.integers(1, 120), st.integers(1, 30)),
        st.integers(-90, 90),
        st.sampled_from([0.25, 0.45, 0.55, 0.9]),
    ),
    max_size=6,
)
CORNERS = st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=8)


def drawn(rectangles: list[Any]) -> npt.NDArray[np.float32]:
    """Draw rectangles into a map of probabilities: center, size, angle in degrees, and probability of each."""
    probabilities = np.zeros((ROWS, COLUMNS), np.float32)
    for center, size, angle, probability in rectangles:
        corners = cv2.boxPoints((center, size, angle)).astype(np.int32)
        cv2.fillPoly(probabilities, [corners], (probability,))
    return probabilities


@given(rectangles=RECTANGLES, height=st.integers(60, 500), width=st.integers(60, 500))
def test_the_boxes_are_those_of_rapidocr(original: Any, rectangles: list[Any], height: int, width: int) -> None:  # noqa: ANN401
    probabilities = drawn(rectangles)
    found, _ = original.text_det.postprocess_op(probabilities[None, None], (height, width))
    expected = original.text_det.filter_tag_det_res(found, (height, width))
    ordered = original.sorted_boxes(expected) if len(expected) else []
    boxes = detection.boxes(probabilities, height=height, width=width)
    assert boxes.shape == (len(ordered), 4, 2)
    assert np.abs(boxes - np.array(ordered).reshape(-1, 4, 2)).max(initial=0) <= 1


@given(corners=CORNERS)
def test_the_reading_order_is_that_of_rapidocr(original: Any, corners: list[tuple[int, int]]) -> None:  # noqa: ANN401
    boxes = np.array([[corner] * 4 for corner in corners], np.float32).reshape(-1, 4, 2)
    expected = original.sorted_boxes(boxes) if len(boxes) else []
    assert [box.tolist() for box in detection.in_reading_order([*boxes])] == [box.tolist() for box in expected]


@pytest.mark.parametrize("name", ["page", "large", "low"])
def test_the_input_of_the_model_is_that_of_rapidocr(original: Any, name: str) -> None:  # noqa: ANN401
    pixels = images.read(PICTURES[name]).pixels
    expected = original.text_det.get_preprocess(max(pixels.shape[:2]))(pixels)
    tensor = detection.tensor(pixels)
    assert tensor.dtype == np.float32
    assert np.array_equal(tensor, expected)


def test_a_page_without_text_has_no_boxes() -> None:
    assert detection.boxes(np.zeros((ROWS, COLUMNS), np.float32), height=10, width=10).shape == (0, 4, 2)
