"""The Open Inference Protocol, version 2: REST and gRPC, with Triton's extensions. Pure.

    rest         bodies of POST /v2/models/{model}/infer: JSON tensors and binary ones
    messages     ModelInferRequest and ModelInferResponse, as inference.GRPCInferenceService has them
    stream       the answers of ModelStreamInfer
    outline      a large ModelInferRequest, parted into its tensors and the little else, without a copy
    contents     typed contents of gRPC's tensors -> arrays
    interface    a model's signature in the protocol's words: what both hold a request against
    datatypes    the names of element types, and the binary form of tensors
    documents    what the server says of itself and of its models, for both

Sources: Open Inference Protocol (https://github.com/kserve/open-inference-protocol); Triton Inference Server, "Binary
Tensor Data Extension", "Model Configuration Extension", "Statistics Extension", "Model Repository Extension".
"""

from typing import Final

from runtime.errors import ScalezeroError
from runtime.http.messages import JSON, Answer
from runtime.protocols.refusals import extra_headers
from runtime.status import TABLE, code_of

NAME: Final = "open_inference"  # in metrics, for both forms
SERVICE: Final = "inference.GRPCInferenceService"


def refuse(fault: ScalezeroError) -> Answer:
    """The REST form of an error."""
    import orjson

    body = orjson.dumps({"error": fault.message.encode(errors="backslashreplace").decode()})
    return Answer(TABLE[code_of(fault)].http, body, [JSON, *extra_headers(fault)])
