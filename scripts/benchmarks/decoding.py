"""Decodes a million numbers with our translators (in slices, with event loop iterations in between) and binds them.

usage: python -m scripts.benchmarks.decoding FORM

Prints the tensors per second, like `floors.json_numpy`. Both run in their own process.
"""

import asyncio
import sys
from collections.abc import Mapping
from types import MappingProxyType, SimpleNamespace
from typing import Any, Final

import numpy as np

from runtime.frontends import content
from runtime.http.messages import Request
from runtime.model.signature import Signature
from runtime.protocols.open_inference.rest import OpenInference
from runtime.protocols.predict import PredictApi
from runtime.protocols.tensorflow_serving.rest import Predict
from runtime.tensors import TensorSpec
from scripts.benchmarks.floors.json_numpy import COLUMNS, Tensor, rate

FLOAT32: Final = np.dtype(np.float32)
SIGNATURE: Final = Signature(
    (TensorSpec("features", FLOAT32, ("batch", COLUMNS)),), (TensorSpec("scores", FLOAT32, ("batch", 1)),)
)
TRANSLATORS: Final[Mapping[str, Any]] = MappingProxyType(
    {"open_inference": OpenInference(), "predict": PredictApi(), "rows": Predict()}
)


class Match:
    """The path parameters that the route table extracts."""

    parameters: Final = MappingProxyType({"model": "model"})


def decoded(text: bytes, form: str) -> Tensor:
    """Return the tensor of a body."""
    translator = TRANSLATORS[form]
    request = Request("POST", "/", b"/", b"", [], "1.1", text)
    request.match, request.reserve = Match(), lambda _: None
    call = asyncio.run(content.run_slices(translator.decode_slices(request)))
    tensor: Tensor = translator.bind(call, SimpleNamespace(signature=SIGNATURE))[0].tensors[0]
    return tensor


def main() -> None:
    """Print the rate of one form."""
    form = sys.argv[1]
    print(rate(lambda text: decoded(text, form), form))


if __name__ == "__main__":
    main()
