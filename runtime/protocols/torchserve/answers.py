"""A prediction as the JSON of TorchServe's handlers: a list with an entry for each row. Pure.

    one output         rows -> [[0.1, 0.9], [0.7, 0.3]]          one row -> [0.1, 0.9]
    several outputs    rows -> [{"label": 1, "scores": [...]}]   one row -> {"label": 1, "scores": [0.1, 0.9]}

A request is one row if it omits the first axis. If some output does not have an entry for each row, the answer is an
object of whole outputs by name.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np

from runtime.model.signature import Signature
from runtime.protocols import row_forms
from runtime.protocols.input_forms import Form
from runtime.protocols.json import tensors as json_tensors
from runtime.protocols.json import writer
from runtime.tensors import Prediction, Query, TensorSpec

_AT_ONCE: Final = 1000  # values of the rows that are written together


def encode(query: Query, prediction: Prediction, signature: Signature) -> bytes | Iterator[bytes]:
    """Return the JSON, in pieces if it is large."""
    form: Form = query.form  # type: ignore[assignment] # `binding.bind` sets it
    outputs = prediction.outputs
    if len(outputs) == 1:
        return _written(_one(outputs[0], form, per_row=signature.row_outputs[0]), outputs)
    if _by_row(outputs, signature):
        if form.one_row and len(outputs[0]) == 1:
            return _written(_entry(outputs, signature.outputs, 0), outputs)
        if writer.is_large(outputs) or len(outputs[0]) * len(outputs) > _AT_ONCE:
            return _pieces(outputs, signature.outputs)
        return json_tensors.dump([_entry(outputs, signature.outputs, row) for row in range(len(outputs[0]))])
    named = {spec.name: json_tensors.plain(each) for spec, each in zip(signature.outputs, outputs, strict=True)}
    return _written(named, outputs)


def _written(document: object, outputs: Sequence[np.ndarray]) -> bytes | Iterator[bytes]:
    return writer.dump(document) if writer.is_large(outputs) else json_tensors.dump(document)


def _one(array: np.ndarray, form: Form, *, per_row: bool) -> Any:  # noqa: ANN401 - any JSON value
    """Return the only output; a row of a rank-1 output is one number, and the answer is a list of this number."""
    return json_tensors.plain(row_forms.row(array, per_row) if form.one_row and array.ndim > 1 else array)


def _by_row(outputs: Sequence[np.ndarray], signature: Signature) -> bool:
    """Return whether every output has an entry for each row."""
    return all(signature.row_outputs) and len({len(each) if each.ndim else None for each in outputs}) == 1


def _entry(outputs: Sequence[np.ndarray], specs: Sequence[TensorSpec], row: int) -> dict[str, Any]:
    return {spec.name: json_tensors.plain(each[row]) for spec, each in zip(specs, outputs, strict=True)}


def _pieces(outputs: Sequence[np.ndarray], specs: Sequence[TensorSpec]) -> Iterator[bytes]:
    """Yield the list of entries in pieces of several entries; a large entry is itself split into pieces."""
    count = len(outputs[0])
    step = max(1, _AT_ONCE // max(1, sum(math.prod(each.shape[1:]) for each in outputs)))
    before = b"["
    for start in range(0, count, step):
        entries = [_entry(outputs, specs, row) for row in range(start, min(start + step, count))]
        yield before
        yield from _inner(writer.dump(entries))
        before = b","
    yield b"]"


def _inner(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the pieces of a list without its brackets."""
    last = next(pieces)[1:]
    for piece in pieces:
        yield last
        last = piece
    yield last[:-1]
