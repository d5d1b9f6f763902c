"""The minimal way from JSON to a tensor in Python: orjson parses the text to lists, NumPy makes an array of them.

usage: python -m scripts.benchmarks.floors.json_numpy FORM

Prints the tensors per second of CPU time. No validation, and no event loop. The floor of json_million.
"""

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import orjson

ROWS: Final = 1000
COLUMNS: Final = 1000  # a million numbers in all
REPEATS: Final = 8
SEED: Final = 7

Tensor = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """`request` builds the document of a tensor. `numbers` returns the list of numbers in it, flat or nested."""

    request: Callable[[Tensor], Mapping[str, Any]]
    numbers: Callable[[Any], Any]


def _open_inference(tensor: Tensor) -> Mapping[str, Any]:
    item = {"name": "features", "shape": [ROWS, COLUMNS], "datatype": "FP32", "data": tensor.ravel()}
    return {"inputs": [item]}


FORMS: Final[Mapping[str, Form]] = {
    "open_inference": Form(request=_open_inference, numbers=lambda document: document["inputs"][0]["data"]),
    "predict": Form(request=lambda tensor: {"inputs": tensor}, numbers=lambda document: document["inputs"]),
    "rows": Form(request=lambda tensor: {"instances": tensor}, numbers=lambda document: document["instances"]),
}


def tensor() -> Tensor:
    """Return the numbers, in [0, 1)."""
    return np.random.default_rng(SEED).random((ROWS, COLUMNS), np.float32)


def body(form: str) -> bytes:
    """Return the numbers in this form, each with the fewest digits of its float32: about 11 MB."""
    return orjson.dumps(FORMS[form].request(tensor()), option=orjson.OPT_SERIALIZE_NUMPY)


def decoded(text: bytes, form: str) -> Tensor:
    """Return the tensor of a body."""
    return np.array(FORMS[form].numbers(orjson.loads(text)), np.float32).reshape(ROWS, COLUMNS)


def rate(decode: Callable[[bytes], Tensor], form: str) -> float:
    """Return tensors per second of CPU time, from the fastest of several runs.

    Other processes that share the caches make a run slower. All of the work is on one thread.
    """
    text = body(form)
    if not np.array_equal(decode(text), tensor()):
        raise SystemExit(f"{form}: the decoded tensor differs from the one that was encoded")
    return 1 / min(seconds(lambda: decode(text)) for _ in range(REPEATS))


def seconds(work: Callable[[], object]) -> float:
    """Return the CPU seconds of a call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    """Print the rate of one form."""
    form = sys.argv[1]
    print(rate(lambda text: decoded(text, form), form))


if __name__ == "__main__":
    main()
