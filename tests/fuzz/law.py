"""The rules for answers to invalid requests, written independently of the route table.

An error of the client has no 5xx status, except those in `ORIGINAL`. An error has the form of the protocol that owns
the path.
"""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

# The statuses from 500 on with which the original servers answer a client's error. Clients expect them.
ORIGINAL = (
    (503, re.compile(r"/explanations/[^/]+(/[^/]+)?")),  # TorchServe: the handler fails if the model has no explainer
    (501, re.compile(r"(?is:/v1/models/.+:explain)")),  # KServe: a model without an explainer
)
_TORCHSERVE = re.compile(
    r"(?s:/(predictions|explanations)(/.*)?|/ping|/invocations|/models/[^/]+/invoke|(/[^/]+){1,2}/predict)"
)
_GRPC_SERVER_ERRORS = {2, 13, 14, 15}  # UNKNOWN, INTERNAL, UNAVAILABLE, DATA_LOSS


def rest(target: str, status: int, headers: Mapping[str, str], body: bytes, *, method: str = "POST") -> None:
    """Check an answer over REST. `target` is the target of the request as it was sent."""
    path = unquote(target.partition("?")[0])
    assert status < 500 or any(status == each and known.fullmatch(path) for each, known in ORIGINAL), (path, body)
    if status < 400 or method == "HEAD":
        return
    assert headers["content-type"] == "application/json", (path, body)
    assert form(json.loads(body)) in forms(path), (path, status, body)


def call(status: int, headers: Mapping[str, str], trailers: Mapping[str, str], body: bytes) -> int:
    """Check the answer to a gRPC call, and return its status."""
    assert status == 200
    assert headers["content-type"] == "application/grpc"
    assert ("grpc-status" in headers) != ("grpc-status" in trailers)
    code = int({**headers, **trailers}["grpc-status"])
    assert code not in _GRPC_SERVER_ERRORS, {**headers, **trailers}
    if "grpc-status" in headers:
        assert not body
        assert code
    while body:  # it consists of complete frames
        size = 5 + int.from_bytes(body[1:5], "big")
        assert body[0] in {0, 1}
        assert len(body) >= size
        body = body[size:]
    return code


def forms(path: str) -> set[str]:
    """Return the forms that an error may have at this path."""
    if path == "/":
        return {"text", "torchserve"}  # KServe's for GET, TorchServe's for OPTIONS
    if path == "/v2" or path.startswith("/v2/") or path.lower() == "/v1" or path.lower().startswith("/v1/"):
        return {"text"}
    return {"torchserve"} if _TORCHSERVE.fullmatch(path) else {"ours"}


def form(document: Any) -> str:  # noqa: ANN401 - JSON
    """Return the form of an error document."""
    if set(document) == {"code", "type", "message"}:
        return "torchserve"
    assert set(document) == {"error"}, document
    error = document["error"]
    if isinstance(error, str):
        return "text"
    assert set(error) == {"code", "message", "details"}, document
    return "ours"
