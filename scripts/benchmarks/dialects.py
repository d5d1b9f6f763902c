"""Pure: the JSON format of a server's requests, and the location of the outputs in its answers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """`request` builds the document for one row. `outputs` extracts the outputs from the answer, in any shape.

    `outputs` may raise KeyError, IndexError or TypeError for an invalid answer.
    """

    request: Callable[[Sequence[float]], Any]
    outputs: Callable[[Any], Any]


def _tensor(row: Sequence[float]) -> Mapping[str, Any]:
    return {"inputs": [{"name": "inputs", "shape": [1, len(row)], "datatype": "FP32", "data": list(row)}]}


# The format of ours, of the floors, and of servers whose author parses the document.
PLAIN: Final = Dialect(request=lambda row: {"inputs": list(row)}, outputs=lambda answer: answer["outputs"])
# A method's arguments by name, and its result without a wrapper. Rows, because the first axis is the batch.
ARGUMENTS: Final = Dialect(request=lambda row: {"inputs": [list(row)]}, outputs=lambda answer: answer)
# https://github.com/kserve/open-inference-protocol: named tensors.
OPEN_INFERENCE: Final = Dialect(
    request=_tensor, outputs=lambda answer: [tensor["data"] for tensor in answer["outputs"]]
)
