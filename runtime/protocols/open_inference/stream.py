"""The answers of Triton's ModelStreamInfer: each holds the ModelInferResponse to one ModelInferRequest, or an error.

The stream stays open behind an error. The answer to it holds the request's id, so that the client knows which one
failed. Each answer is the last one to its request, and says so by the parameter `triton_final_response`.
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


def answered(response: Buffer) -> bytes:
    """The message for a request that succeeded: `response` is its ModelInferResponse."""
    return b"".join((head(_INFER_RESPONSE, len(response) + len(_FINAL)), response, _FINAL))


def failed(error: ScalezeroError, request: Buffer) -> bytes:
    """The message for a request that failed: `request` is its ModelInferRequest, or nothing."""
    response = delimited(_ID, _id(request)) + _FINAL
    return delimited(_ERROR_MESSAGE, error.message.encode(errors="backslashreplace")) + delimited(
        _INFER_RESPONSE, response
    )


def _id(request: Buffer) -> bytes:
    """The request's id as it came, where it is UTF-8 and the message can be read so far."""
    found = b""
    try:
        for number, content in fields(memoryview(request)):
            if number == _ID:
                found = bytes(content)
        found.decode()
    except (InvalidInput, UnicodeDecodeError):
        return b""
    return found
