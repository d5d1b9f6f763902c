"""ClassificationResult and RegressionResult, serialized. Pure.

If all rows have the same labels, NumPy fills the scores of each row into a copy of one serialized row. A message object
for each class would block the event loop: for 30 ms with 32 rows of 1000 classes.
"""

from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, islice
from typing import Final

import numpy as np

from runtime.protobuf import delimited
from runtime.protocols.tensorflow_serving import examples, messages
from runtime.protocols.tensorflow_serving.examples import Classifier

_FLOAT: Final = 4  # bytes
_ZERO: Final = bytes(_FLOAT)
_SCORE: Final = b"\x15"  # the tag of Class.score
_REGRESSION: Final = delimited(1, b"\x0d" + _ZERO)  # one of the regressions of a result, and its value


def classification(plan: Classifier, outputs: Sequence[np.ndarray], rows: int) -> bytes:
    """Return a ClassificationResult. Raises `InvalidInput` for outputs of another shape than the model states."""
    table = examples.unlabelled(plan, outputs, rows)
    if table is not None:
        template, places = _row(table.shape[1])
        return _filled(template, places, table)
    result = messages.message_class("ClassificationResult")()
    for row in examples.classes(plan, outputs, rows):
        add = result.classifications.add().classes.add
        for label, score in row:
            add(label=label, score=score)
    content: bytes = result.SerializeToString()
    return content


def regression(output: np.ndarray, rows: int) -> bytes:
    """Return a RegressionResult. Raises `InvalidInput` if the output does not have one value for each row."""
    return _filled(_REGRESSION, (len(_REGRESSION) - _FLOAT,), examples.column(output, rows))


@lru_cache(64)
def _row(classes: int) -> tuple[bytes, tuple[int, ...]]:
    """Return the serialized classifications of one row with indices as labels, and the offsets of its scores."""
    every = [delimited(1, delimited(1, str(index).encode()) + _SCORE + _ZERO) for index in range(classes)]
    content = b"".join(every)
    template = delimited(1, content)
    ends = accumulate(map(len, every), initial=len(template) - len(content))
    return template, tuple(end - _FLOAT for end in islice(ends, 1, None))


def _filled(template: bytes, places: Sequence[int], numbers: np.ndarray) -> bytes:
    """Repeat the template for each row of float32 `numbers` [rows, places], with the numbers at these places."""
    rows = np.tile(np.frombuffer(template, np.uint8), (len(numbers), 1))
    digits = np.ascontiguousarray(numbers, "<f4").view(np.uint8).reshape(*numbers.shape, _FLOAT)
    rows[:, np.array(places, np.intp)[:, np.newaxis] + np.arange(_FLOAT)] = digits
    return rows.tobytes()
