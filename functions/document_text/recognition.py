"""What a line of text says: its box -> the input of the model, and its output -> text. The rules of rapidocr.

Lines are read in groups of at most six of similar length, and padded to the longest of them. The padding has an
influence on the model's scores, so the groups are part of the rules.

`characters.json` has the characters in the order of the model's output. `functions.document_text.package` writes it.

Source of the rules: rapidocr-onnxruntime 1.4.4 (https://github.com/RapidAI/RapidOCR), after PaddleOCR
(https://github.com/PaddlePaddle/PaddleOCR), both Apache-2.0.
"""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from functions.document_text.images import Pixels

FACTS: Final = json.loads(Path(__file__).with_name("characters.json").read_text("utf-8"))
# The first class is no character but a gap, the last one is the space.
CLASSES: Final[str] = "\0" + FACTS["characters"] + " "
GROUP: Final = 6  # lines of one request to the model
HEIGHT: Final = 48  # pixels of the model's input
_MIN_WIDTH: Final = 320
_UPRIGHT: Final = 1.5  # times as high as wide: a line that runs from the bottom to the top
_VALUES: Final = (np.arange(256, dtype=np.float32) / 255 - np.float32(0.5)) / np.float32(0.5)


class Text(NamedTuple):
    """The text of a line, and the mean of the scores of its characters, from 0 to 1."""

    text: str
    score: float


class Group(NamedTuple):
    """Lines for one request to the model: their indices, and float32 [lines, 3, 48, width]."""

    indices: list[int]
    tensor: npt.NDArray[np.float32]


def cut(pixels: Pixels, box: npt.NDArray[np.float32]) -> Pixels:
    """Return the line in the box (float32 [4, 2]), straightened; a high one is turned by 90 degrees."""
    width = int(max(np.linalg.norm(box[0] - box[1]), np.linalg.norm(box[2] - box[3])))
    height = int(max(np.linalg.norm(box[0] - box[3]), np.linalg.norm(box[1] - box[2])))
    target = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    line = cv2.warpPerspective(
        pixels,
        cv2.getPerspectiveTransform(box, target),
        (width, height),
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.asarray(np.rot90(line) if height >= _UPRIGHT * width else line, np.uint8)


def groups(lines: Sequence[Pixels]) -> Iterator[Group]:
    """Yield the lines in groups for the model, from the shortest to the longest."""
    ratios = np.array([line.shape[1] / line.shape[0] for line in lines])
    order = np.argsort(ratios).tolist()
    for start in range(0, len(order), GROUP):
        indices = order[start : start + GROUP]
        width = int(HEIGHT * max(_MIN_WIDTH / HEIGHT, ratios[indices].max()))
        yield Group(indices, np.stack([row(lines[index], width) for index in indices]))


def row(line: Pixels, width: int) -> npt.NDArray[np.float32]:
    """Return the line in the height of the models, padded on the right or compressed: float32 [3, 48, width]."""
    used = min(math.ceil(HEIGHT * (line.shape[1] / line.shape[0])), width)
    row = np.zeros((3, HEIGHT, width), np.float32)
    row[:, :, :used] = _VALUES[cv2.resize(line, (used, HEIGHT))].transpose(2, 0, 1)
    return row


def texts(scores: npt.NDArray[np.float32]) -> list[Text]:
    """Return the text of each line from the model's output: float32 [lines, steps, classes].

    A class that repeats in the next step is one character; a gap between two equal ones makes them two.
    """
    return [_text(best, row.max(axis=1)) for best, row in zip(scores.argmax(axis=2), scores, strict=True)]


def _text(best: npt.NDArray[np.int64], scores: npt.NDArray[np.float32]) -> Text:
    new = np.append(True, best[1:] != best[:-1]) & (best != 0)
    text = "".join(CLASSES[index] for index in best[new])
    return Text(text, float(scores[new].astype(np.float64).mean()) if text else 0.0)
