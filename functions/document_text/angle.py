"""Whether a line is upside down: lines -> the input of the model, and its output -> upright lines.

Source of the rules: rapidocr-onnxruntime 1.4.4 (https://github.com/RapidAI/RapidOCR), after PaddleOCR
(https://github.com/PaddlePaddle/PaddleOCR), both Apache-2.0.
"""

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from functions.document_text.images import Pixels
from functions.document_text.recognition import row

WIDTH: Final = 192  # pixels of the model's input
TURNED: Final = 1  # index of the score for a line that is upside down; that of an upright one is 0
_MIN_SCORE: Final = 0.9  # a line is turned only if the model is sure


def tensor(lines: Sequence[Pixels]) -> npt.NDArray[np.float32]:
    """Return the input of the model: float32 [lines, 3, 48, 192]."""
    return np.stack([row(line, WIDTH) for line in lines])


def upright(lines: Sequence[Pixels], scores: npt.NDArray[np.float32]) -> list[Pixels]:
    """Return the lines, turned by 180 degrees if the scores (float32 [lines, 2]) say that they are upside down."""
    sure = scores[:, TURNED] > _MIN_SCORE
    return [turned(line) if wrong else line for line, wrong in zip(lines, sure, strict=True)]


def turned(line: Pixels) -> Pixels:
    """Return the line, turned by 180 degrees."""
    return np.asarray(cv2.rotate(line, cv2.ROTATE_180), np.uint8)
