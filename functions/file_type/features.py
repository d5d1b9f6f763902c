"""Conversion of a file to the input of the model, and of the model's scores to a file type: the rules of magika.

The model reads the first and the last 1,024 bytes of a file, without the white space around it. A file that is too
short for the model is text or unknown. If the score is below the threshold of its label, the answer is `txt` or
`unknown` instead.

`content_types.json` has the labels in the order of the model's scores, the thresholds, and the facts of each label.
`functions.file_type.package` writes it from the package magika, which a pod does not need.

Source of the rules: magika 1.0.3 (https://github.com/google/magika), Copyright 2024 Google LLC, Apache-2.0.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

FACTS: Final[Mapping[str, Any]] = json.loads(Path(__file__).with_name("content_types.json").read_text("utf-8"))
LABELS: Final[Sequence[str]] = FACTS["labels"]  # in the order of the model's scores
BLOCK: Final = 4_096  # bytes at each end of the file that are read
SIDE: Final = 1_024  # bytes of each block that the model gets
WINDOW: Final = 2 * SIDE
PADDING: Final = 256  # no byte has this value
MINIMUM: Final = 8  # bytes that the model needs
_THRESHOLD: Final = 0.5  # of labels without a threshold of their own


class FileType(NamedTuple):
    """The type of a file. `score` is the model's score of the most probable label, from 0 to 1; 1 without the model."""

    label: str
    description: str
    mime_type: str
    group: str
    score: float


def window(content: bytes) -> npt.NDArray[np.int32] | None:
    """Return the model's input for a file: int32 [2048], bytes from 0 to 255 or PADDING; None if it is too short."""
    start = content[:BLOCK].lstrip()[:SIDE]
    if len(start) < MINIMUM:
        return None
    end = content[-BLOCK:].rstrip()[-SIDE:]
    row = np.full(WINDOW, PADDING, np.int32)
    row[: len(start)] = np.frombuffer(start, np.uint8)
    if end:
        row[-len(end) :] = np.frombuffer(end, np.uint8)
    return row


def of_short(content: bytes) -> FileType:
    """Return the type of a file for which `window` returns None."""
    if not content:
        return _describe("empty", 1.0)
    return _describe("txt" if _is_utf8(content[:BLOCK]) else "unknown", 1.0)


def of_scores(scores: npt.NDArray[np.float32]) -> FileType:
    """Return the type of a file from the model's scores: float32 [214], in the order of LABELS."""
    best = int(scores.argmax())
    label, score = LABELS[best], scores[best].item()
    answered = FACTS["replacements"].get(label, label)
    if score < FACTS["thresholds"].get(label, _THRESHOLD):
        answered = "txt" if FACTS["types"][answered]["is_text"] else "unknown"
    return _describe(answered, score)


def _describe(label: str, score: float) -> FileType:
    facts = FACTS["types"][label]
    return FileType(label, facts["description"], facts["mime_type"], facts["group"], score)


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
