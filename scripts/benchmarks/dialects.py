"""Pure: in which JSON a server wants a row, and where its answer holds the outputs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """`request` makes the document that asks for one row; `outputs` takes them out of the answer, in any shape.

    `outputs` may raise KeyError, IndexError or TypeError on what is no answer.
    """

    request: Callable[[Sequence[float]], Mapping[str, Any]]
    outputs: Callable[[Any], Any]


def _tensor(row: Sequence[float]) -> Mapping[str, Any]:
    return {"inputs": [{"name": "inputs", "shape": [1, len(row)], "datatype": "FP32", "data": list(row)}]}


# Ours, the floors' and that of servers that take whatever their author reads from a document.
PLAIN: Final = Dialect(request=lambda row: {"inputs": list(row)}, outputs=lambda answer: answer["outputs"])
# A method's arguments by name, its bare result: rows, as the first axis is the batch.
ARGUMENTS: Final = Dialect(request=lambda row: {"inputs": [list(row)]}, outputs=lambda answer: answer)
# https://github.com/kserve/open-inference-protocol: named tensors.
OPEN_INFERENCE: Final = Dialect(
    request=_tensor, outputs=lambda answer: [tensor["data"] for tensor in answer["outputs"]]
)
