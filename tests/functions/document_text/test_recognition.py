"""The lines, the inputs of the recognition and the texts from its output are those of rapidocr."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.document_text import recognition
from functions.document_text.images import Pixels
from functions.document_text.recognition import CLASSES, FACTS, cut, groups, texts

WIDTHS = st.lists(st.tuples(st.integers(5, 40), st.integers(5, 900)), min_size=1, max_size=14)
STEPS = st.lists(
    st.tuples(st.sampled_from([0, 1, 2, 77, len(CLASSES) - 1]), st.floats(0.125, 1, width=16)), min_size=1, max_size=12
)


def noise(height: int, width: int) -> Pixels:
    return np.random.default_rng(height * width).integers(0, 256, (height, width, 3), np.uint8)


@given(steps=STEPS)
def test_the_text_of_any_output_is_that_of_rapidocr(original: Any, steps: list[tuple[int, float]]) -> None:  # noqa: ANN401
    scores = np.zeros((1, len(steps), len(CLASSES)), np.float32)
    for step, (index, score) in enumerate(steps):
        scores[0, step, index] = score
    ((text, score),) = original.text_rec.postprocess_op(scores)
    (ours,) = texts(scores)
    assert ours.text == text
    assert ours.score == pytest.approx(score, abs=1e-6)


@given(sizes=WIDTHS)
def test_lines_are_grouped_and_padded_as_rapidocr_does(original: Any, sizes: list[tuple[int, int]]) -> None:  # noqa: ANN401
    lines = [noise(height, width) for height, width in sizes]
    seen = []
    for indices, tensor in groups(lines):
        ratio = max(320 / 48, *(lines[index].shape[1] / lines[index].shape[0] for index in indices))
        expected = [original.text_rec.resize_norm_img(lines[index], ratio) for index in indices]
        assert np.array_equal(tensor, np.stack(expected))
        assert len(indices) <= 6
        seen += indices
    assert seen == np.argsort([width / height for height, width in sizes]).tolist()


@pytest.mark.parametrize(
    "box",
    [
        [[10, 10], [90, 10], [90, 30], [10, 30]],
        [[10, 30], [80, 12], [85, 30], [14, 50]],
        [[10, 10], [25, 10], [25, 70], [10, 70]],
        [[0, 0], [119, 3], [119, 79], [0, 79]],
    ],
)
def test_a_line_is_cut_as_rapidocr_does(original: Any, box: list[list[int]]) -> None:  # noqa: ANN401
    pixels, corners = noise(80, 120), np.array(box, np.float32)
    (expected,) = original.get_crop_img_list(pixels, [corners])
    assert np.array_equal(cut(pixels, corners), expected)


def test_the_classes_are_those_of_rapidocr(original: Any) -> None:  # noqa: ANN401
    assert ["", *CLASSES[1:]] == ["", *original.text_rec.postprocess_op.character[1:]]


def test_a_line_without_characters_has_the_score_zero() -> None:
    gaps = np.zeros((1, 3, len(CLASSES)), np.float32)
    gaps[..., 0] = 0.9
    assert texts(gaps) == [recognition.Text("", 0)]


def test_the_characters_name_their_source_and_licence() -> None:
    assert "rapidocr-onnxruntime==1.4.4" in FACTS["source"]
    assert "Apache-2.0" in FACTS["licence"]
