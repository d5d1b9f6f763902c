"""Lines that are upside down are turned, as rapidocr does."""

from typing import Any

import numpy as np
import pytest

from functions.document_text.angle import tensor, turned, upright
from functions.document_text.images import Pixels


def noise(height: int, width: int) -> Pixels:
    return np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("size", [(30, 60), (48, 192), (20, 400), (60, 10)], ids=str)
def test_the_input_of_the_model_is_that_of_rapidocr(original: Any, size: tuple[int, int]) -> None:  # noqa: ANN401
    line = noise(*size)
    assert np.array_equal(tensor([line]), original.text_cls.resize_norm_img(line)[None])


def test_only_a_line_that_is_surely_on_its_head_is_turned() -> None:
    line = noise(20, 50)
    scores = np.array([[0.05, 0.95], [0.15, 0.85], [0.9, 0.1]], np.float32)
    first, second, third = upright([line] * 3, scores)
    assert np.array_equal(first, line[::-1, ::-1])
    assert second is third is line


def test_a_line_turned_twice_is_the_same() -> None:
    line = noise(20, 50)
    assert np.array_equal(turned(turned(line)), line)


def test_no_lines_stay_no_lines() -> None:
    assert upright([], np.zeros((0, 2), np.float32)) == []
