"""The data of an event: the request and the response of the Open Inference Protocol in one JSON document. Pure.

    {"model_name", "model_version", "parameters", "id", "inputs": [{"name", "datatype", "shape", "data"}], "outputs"}

The document is also a valid request of that protocol, so a logged prediction can be repeated. A tensor that does not
fit has no `data`, and the parameter `omitted` says why. NaN and infinity are null. Source: Open Inference Protocol,
version 2, "Inference".
"""

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import orjson

from runtime.prediction_log.entries import Kept, LogEntry, Omitted
from runtime.protocols.json import tensors as json_tensors

if TYPE_CHECKING:
    from collections.abc import Sequence


def render(entry: LogEntry, most: int) -> bytes:
    """Return the document. It leaves out tensors, the largest first, until it has at most `most` bytes."""
    heads = entry.heads
    start = heads.start + (
        f'"protocol":"{entry.protocol}","queue_ms":{entry.queued * 1e3:.3f},"batch_ms":{entry.batched * 1e3:.3f}'
        f',"run_ms":{entry.ran * 1e3:.3f},"total_ms":{entry.total * 1e3:.3f}'
    ).encode("ascii")
    if entry.request_id is not None:
        start += b',"request_id":' + orjson.dumps(entry.request_id)
    start += b'},"id":' + orjson.dumps(entry.id) if entry.id else b"}"
    inputs = list(map(_tensor, heads.inputs, entry.inputs))
    outputs = list(map(_tensor, heads.outputs, entry.outputs))
    document = _join(start, inputs, outputs)
    if len(document) <= most:
        return document
    _omit_largest(entry, inputs, outputs, len(document) - most)
    return _join(start, inputs, outputs)


def _join(start: bytes, inputs: "Sequence[bytes]", outputs: "Sequence[bytes]") -> bytes:
    return b'%b,"inputs":[%b],"outputs":[%b]}' % (start, _listed(inputs), _listed(outputs))


def _listed(tensors: "Sequence[bytes]") -> bytes:
    """Return the tensors with commas between them, without those that are absent."""
    return tensors[0] if len(tensors) == 1 else b",".join(filter(None, tensors))


def _tensor(start: bytes, kept: Kept) -> bytes:
    """Return one tensor; nothing for an optional one that is absent."""
    if isinstance(kept, Omitted):
        return _omitted(start, kept)
    if kept.dtype.kind == "O" and not kept.ndim and kept.item() is None:
        return b""
    data = kept if kept.ndim == 1 else kept.reshape(-1)
    return b'%b%b,"data":%b}' % (start, _shape(kept.shape), json_tensors.dump(json_tensors.plain(data)))


@lru_cache(maxsize=256)
def _shape(shape: tuple[int, ...]) -> bytes:
    return b"[%b]" % b",".join([b"%d" % size for size in shape])


def _omitted(start: bytes, tensor: Omitted) -> bytes:
    return b'%b%b,"parameters":{"omitted":"too large for an event: %d bytes in memory"}}' % (
        start,
        _shape(tensor.shape),
        tensor.size,
    )


def _omit_largest(entry: LogEntry, inputs: list[bytes], outputs: list[bytes], excess: int) -> None:
    """Replace the largest tensors until the document has `excess` bytes less, or none is left."""
    heads = entry.heads
    sides = ((inputs, heads.inputs, entry.inputs), (outputs, heads.outputs, entry.outputs))
    places = [(len(each), side, index) for side, (parts, _, _) in enumerate(sides) for index, each in enumerate(parts)]
    for size, side, index in sorted(places, reverse=True):
        if excess <= 0:
            return
        parts, starts, tensors = sides[side]
        tensor = tensors[index]
        if isinstance(tensor, np.ndarray) and size:
            parts[index] = _omitted(starts[index], Omitted(tensor.shape, tensor.nbytes))
            excess -= size - len(parts[index])
