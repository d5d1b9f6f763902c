"""Where the lines of text are: an image -> the input of the model, and its output -> boxes. The rules of rapidocr.

The model gives each pixel a probability that it belongs to the core of a line. Connected pixels become a rectangle,
which may be rotated; it is grown to the height of the letters.

Source of the rules: rapidocr-onnxruntime 1.4.4 (https://github.com/RapidAI/RapidOCR), after PaddleOCR
(https://github.com/PaddlePaddle/PaddleOCR), both Apache-2.0.
"""

from collections.abc import Iterator
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
import pyclipper

from functions.document_text.images import Boxes, Pixels, resized

Box = npt.NDArray[np.float32]  # [4, 2]

_SHORTEST: Final = 736  # pixels of the shorter side of the model's input, at least
_PROBABILITY: Final = 0.3  # of a pixel
_BOX_PROBABILITY: Final = 0.5  # the mean of a rectangle's pixels
_MAX_CONTOURS: Final = 1_000
_GROWTH: Final = 1.6  # times the area, divided by the length of the outline: pixels on each side
_MIN_SIDE: Final = 3  # pixels
_SAME_ROW: Final = 10  # pixels between the tops of boxes that are read from left to right
_KERNEL: Final = np.ones((2, 2), np.uint8)
# Each value of a pixel as the model takes it, from -1 to 1.
_VALUES: Final = ((np.arange(256, dtype=np.float32) * np.float32(1 / 255.0) - 0.5) / 0.5).astype(np.float32)

cv2.setNumThreads(1)  # a pod has a share of the CPUs that OpenCV counts


def tensor(pixels: Pixels) -> npt.NDArray[np.float32]:
    """Return the input of the model: float32 [1, 3, height, width], with sides that are multiples of 32 pixels."""
    ratio = max(_SHORTEST / min(pixels.shape[:2]), 1)
    return np.ascontiguousarray(_VALUES[resized(pixels, ratio)].transpose(2, 0, 1)[None])


def boxes(probabilities: npt.NDArray[np.float32], *, height: int, width: int) -> Boxes:
    """Return the boxes of the lines in an image of this size, in reading order, from [rows, columns] probabilities."""
    found = (_clipped(box, height=height, width=width) for box in _scaled(probabilities, height=height, width=width))
    kept = [box for box in found if min(_length(box[0], box[1]), _length(box[0], box[3])) > _MIN_SIDE]
    return np.array(in_reading_order(kept), np.float32).reshape(-1, 4, 2)


def in_reading_order(found: list[Box]) -> list[Box]:
    """Sort boxes from top to bottom; those whose tops differ by less than 10 pixels from left to right."""
    ordered = sorted(found, key=lambda box: (box[0][1], box[0][0]))
    for last in range(1, len(ordered)):
        for index in range(last, 0, -1):
            above, below = ordered[index - 1][0], ordered[index][0]
            if abs(below[1] - above[1]) >= _SAME_ROW or below[0] >= above[0]:
                break
            ordered[index - 1 : index + 1] = ordered[index], ordered[index - 1]
    return ordered


def _scaled(probabilities: npt.NDArray[np.float32], *, height: int, width: int) -> Iterator[Box]:
    """Yield the box of each line, in whole pixels of the image."""
    rows, columns = probabilities.shape
    core = cv2.dilate((probabilities > _PROBABILITY).astype(np.uint8), _KERNEL)
    contours, _ = cv2.findContours(core * 255, cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE)
    for contour in contours[:_MAX_CONTOURS]:
        box, side = _rectangle(np.asarray(contour, np.int32))
        if side < _MIN_SIDE or _mean(probabilities, box) < _BOX_PROBABILITY:
            continue
        grown, side = _rectangle(_grown(box))
        if side >= _MIN_SIDE + 2:
            yield np.round(grown / (columns, rows) * (width, height)).clip(0, (width, height)).astype(np.float32)


def _rectangle(points: npt.NDArray[np.int32]) -> tuple[Box, float]:
    """Return the smallest rectangle around the points, and its shorter side."""
    rectangle = cv2.minAreaRect(points)
    return _clockwise(np.asarray(cv2.boxPoints(rectangle), np.float32)), min(rectangle[1])


def _clockwise(points: Box) -> Box:
    """Return the corners from the top left one on: of the two left ones the upper, and so on."""
    by_x = points[np.argsort(points[:, 0], kind="stable")]
    left, right = (pair[np.argsort(pair[:, 1], kind="stable")] for pair in (by_x[:2], by_x[2:]))
    return np.array([left[0], right[0], right[1], left[1]], np.float32)


def _mean(probabilities: npt.NDArray[np.float32], box: Box) -> float:
    """Return the mean probability of the pixels in the box."""
    last = np.array(probabilities.shape[::-1]) - 1
    start = np.floor(box.min(axis=0)).astype(np.int32).clip(0, last)
    end = np.ceil(box.max(axis=0)).astype(np.int32).clip(0, last)
    mask = np.zeros((end - start + 1)[::-1], np.uint8)
    cv2.fillPoly(mask, [(box - start).astype(np.int32)], (1,))
    mean: float = cv2.mean(probabilities[start[1] : end[1] + 1, start[0] : end[0] + 1], mask)[0]
    return mean


def _grown(box: Box) -> npt.NDArray[np.int32]:
    """Return the outline of the box, moved outwards, with round corners."""
    distance = cv2.contourArea(box) * _GROWTH / cv2.arcLength(box, closed=True)
    offset = pyclipper.PyclipperOffset()
    offset.AddPath(box, pyclipper.JT_ROUND, pyclipper.ET_CLOSEDPOLYGON)
    outline: npt.NDArray[np.int32] = np.array(offset.Execute(distance), np.int32).reshape(-1, 1, 2)
    return outline


def _clipped(box: Box, *, height: int, width: int) -> Box:
    whole: Box = np.trunc(_clockwise(box).clip(0, (width - 1, height - 1)))
    return whole.astype(np.float32)


def _length(start: npt.NDArray[np.float32], end: npt.NDArray[np.float32]) -> int:
    return int(np.linalg.norm(start - end))
