"""What every answer to a bad request has to be, written down apart from the route table that it is held against.

No client's fault is answered by a 5xx, except by what `ORIGINAL` lists. An error has the form of the protocol that owns
the path.
"""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

# The statuses from 500 that the original servers answer to a client's fault, and that clients know.
ORIGINAL = (
    (503, re.compile(r"/explanations/[^/]+(/[^/]+)?")),  # TorchServe: the handler of a model without an explainer fails
    (501, re.compile(r"(?is:/v1/models/.+:explain)")),  # KServe: a model without an explainer
)
_TORCHSERVE = re.compile(
    r"(?s:/(predictions|explanations)(/.*)?|/ping|/invocations|/models/[^/]+/invoke|(/[^/]+){1,2}/predict)"
)
_GRPC_FAULTS_OF_OURS = {2, 13, 14, 15}  # UNKNOWN, INTERNAL, UNAVAILABLE, DATA_LOSS


def rest(target: str, status: int, headers: Mapping[str, str], body: bytes, *, method: str = "POST") -> None:
    """Hold an answer over REST against the law; `target` is the request's target as it was sent."""
    path = unquote(target.partition("?")[0])
    assert status < 500 or any(status == each and known.fullmatch(path) for each, known in ORIGINAL), (path, body)
    if status < 400 or method == "HEAD":
        return
    assert headers["content-type"] == "application/json", (path, body)
    assert form(json.loads(body)) in forms(path), (path, status, body)


def call(status: int, headers: Mapping[str, str], trailers: Mapping[str, str], body: bytes) -> int:
    """Hold an answer to a gRPC call against the law, and return its status."""
    assert status == 200
    assert headers["content-type"] == "application/grpc"
    assert ("grpc-status" in headers) != ("grpc-status" in trailers)
    code = int({**headers, **trailers}["grpc-status"])
    assert code not in _GRPC_FAULTS_OF_OURS, {**headers, **trailers}
    if "grpc-status" in headers:
        assert not body
        assert code
    while body:  # whole frames
        size = 5 + int.from_bytes(body[1:5], "big")
        assert body[0] in {0, 1}
        assert len(body) >= size
        body = body[size:]
    return code


def forms(path: str) -> set[str]:
    """The forms that an error may have at the path."""
    if path == "/":
        return {"text", "torchserve"}  # KServe's for GET, TorchServe's for OPTIONS
    if path == "/v2" or path.startswith("/v2/") or path.lower() == "/v1" or path.lower().startswith("/v1/"):
        return {"text"}
    return {"torchserve"} if _TORCHSERVE.fullmatch(path) else {"ours"}


def form(document: Any) -> str:  # noqa: ANN401 - JSON
    """Which form an error document has."""
    if set(document) == {"code", "type", "message"}:
        return "torchserve"
    assert set(document) == {"error"}, document
    error = document["error"]
    if isinstance(error, str):
        return "text"
    assert set(error) == {"code", "message", "details"}, document
    return "ours"
