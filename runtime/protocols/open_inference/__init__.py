"""The Open Inference Protocol, version 2: REST and gRPC, with Triton's extensions. Pure.

    rest         bodies of POST /v2/models/{model}/infer: JSON tensors and binary ones
    messages     ModelInferRequest and ModelInferResponse, the messages of inference.GRPCInferenceService
    stream       the answers of ModelStreamInfer
    outline      splits a large ModelInferRequest into its tensors and the small rest, without a copy
    contents     typed contents of gRPC's tensors -> arrays
    interface    a model's signature in the protocol's terms, to check requests of both forms
    datatypes    the names of element types, and the binary form of tensors
    documents    the metadata of the server and of its models, for both forms

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
    """Return the REST form of an error."""
    import orjson

    body = orjson.dumps({"error": fault.message.encode(errors="backslashreplace").decode()})
    return Answer(TABLE[code_of(fault)].http, body, [JSON, *extra_headers(fault)])
