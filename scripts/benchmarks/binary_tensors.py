"""Pure: a row as a binary request of the Open Inference Protocol, and the numbers of the binary answer.

Source: Triton Inference Server, "Binary Tensor Data Extension".
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from scripts.benchmarks.subjects import Row

LENGTH: Final = "inference-header-content-length"


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request's headers and body."""

    headers: Mapping[str, str]
    body: bytes


def request(name: str, row: Row, shape: Sequence[int]) -> Request:
    """Build the request for one row of this shape, with a binary answer."""
    data = np.array(row, "<f4").tobytes()
    tensor = {"name": name, "datatype": "FP32", "shape": [1, *shape], "parameters": {"binary_data_size": len(data)}}
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    headers = {"content-type": "application/octet-stream", LENGTH: str(len(head))}
    return Request(headers=headers, body=head + data)


def outputs(headers: Mapping[str, str], body: bytes) -> list[float]:
    """Return the numbers of a binary answer. The names of `headers` are in lower case.

    Raises LookupError or ValueError if it is not a binary answer.
    """
    length = int(headers[LENGTH])
    sizes = [tensor["parameters"]["binary_data_size"] for tensor in json.loads(body[:length])["outputs"]]
    data = body[length:]
    if sum(sizes) != len(data):
        raise ValueError(f"got {len(data)} bytes after the JSON header; expected {sum(sizes)}")
    numbers: list[float] = np.frombuffer(data, "<f4").tolist()
    return numbers
