"""The answers of Triton's ModelStreamInfer: each has the ModelInferResponse to one ModelInferRequest, or an error.

The stream stays open after an error. The answer with the error has the id of the request, so that the client can find
the request that failed. Each answer is the only one to its request, and has the parameter `triton_final_response`.
Source: Triton Inference Server, "grpc_service.proto" and "Decoupled Backends and Models".
"""

from typing import Final

from runtime.errors import InvalidInput, ScalezeroError
from runtime.http.messages import Buffer
from runtime.protobuf import delimited, head
from runtime.protocols.open_inference.outline import fields

_ERROR_MESSAGE, _INFER_RESPONSE = 1, 2  # of ModelStreamInferResponse
_ID: Final = 3  # of both ModelInferRequest and ModelInferResponse
# ModelInferResponse.parameters: an InferParameter whose bool_param is true
_FINAL: Final = delimited(4, delimited(1, b"triton_final_response") + delimited(2, b"\x08\x01"))


def succeeded(response: Buffer) -> bytes:
    """Return the message for a request that succeeded; `response` is its ModelInferResponse."""
    return b"".join((head(_INFER_RESPONSE, len(response) + len(_FINAL)), response, _FINAL))


def failed(error: ScalezeroError, request: Buffer) -> bytes:
    """Return the message for a request that failed; `request` is its ModelInferRequest, or empty."""
    response = delimited(_ID, _id(request)) + _FINAL
    return delimited(_ERROR_MESSAGE, error.message.encode(errors="backslashreplace")) + delimited(
        _INFER_RESPONSE, response
    )


def _id(request: Buffer) -> bytes:
    """Return the id of the request; empty if it is not UTF-8 or the message is malformed."""
    found = b""
    try:
        for number, content in fields(memoryview(request)):
            if number == _ID:
                found = bytes(content)
        found.decode()
    except (InvalidInput, UnicodeDecodeError):
        return b""
    return found
