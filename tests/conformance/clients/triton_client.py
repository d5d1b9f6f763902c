"""tritonclient over HTTP and gRPC, controlled by lines of JSON, in its own environment (see tests/clients.py)."""

import json
import sys

import ml_dtypes
import numpy as np
from tensors import array_of, tensor_of
from tritonclient import grpc, http
from tritonclient.utils import InferenceServerException, triton_to_np_dtype

MODULES = {"http": http, "grpc": grpc}
CLIENTS = {}


def client_of(form, url):
    if (form, url) not in CLIENTS:
        CLIENTS[form, url] = MODULES[form].InferenceServerClient(url)
    return CLIENTS[form, url]


def dtype_of(datatype):
    names = {"BF16": ml_dtypes.bfloat16, "BYTES": object}
    return np.dtype(names.get(datatype) or triton_to_np_dtype(datatype))


def input_of(form, tensor, *, binary):
    given = MODULES[form].InferInput(tensor["name"], tensor["shape"], tensor["datatype"])
    given.set_data_from_numpy(
        array_of(tensor, dtype_of(tensor["datatype"])), **({"binary_data": binary} if form == "http" else {})
    )
    return given


def output_of(form, name, *, binary):
    return MODULES[form].InferRequestedOutput(name, **({"binary_data": binary} if form == "http" else {}))


def options_of(form, version="", id="", coding=None):
    options = {"model_version": version, "request_id": id}
    if coding and form == "http":
        options |= {"request_compression_algorithm": coding, "response_compression_algorithm": coding}
    elif coding:
        options |= {"compression_algorithm": coding}
    return options


def infer(form, url, model, inputs, outputs=None, *, binary=True, **options):
    given = [input_of(form, each, binary=binary) for each in inputs]
    requested = outputs and [output_of(form, each, binary=binary) for each in outputs]
    result = client_of(form, url).infer(model, given, outputs=requested, **options_of(form, **options))
    response = result.get_response()
    if form == "grpc":
        facts = {"id": response.id, "model_name": response.model_name, "model_version": response.model_version}
        described = [(each.name, each.datatype, each.shape) for each in response.outputs]
    else:
        facts = {name: response.get(name, "") for name in ("id", "model_name", "model_version")}
        described = [(each["name"], each["datatype"], each["shape"]) for each in response["outputs"]]
    return {**facts, "outputs": [output_tensor(result, *each) for each in described]}


def output_tensor(result, name, datatype, shape):
    array = result.as_numpy(name)
    return tensor_of(name, datatype, shape, array.astype(dtype_of(datatype)) if datatype == "BF16" else array)


def stream(form, url, requests):
    """Return the outcomes of these requests on one stream, in the order of their arrival."""
    outcomes = []

    def on_response(result, error):
        if error:  # the client passes on only the error message
            outcomes.append({"error": error.message()})
            return
        response = result.get_response()
        [output] = response.outputs
        tensor = output_tensor(result, output.name, output.datatype, output.shape)
        final = response.parameters["triton_final_response"].bool_param
        outcomes.append({"id": response.id, "final": final, "data": tensor["data"]})

    with MODULES[form].InferenceServerClient(url) as client:
        client.start_stream(on_response)
        for request in requests:
            given = [input_of(form, tensor, binary=True) for tensor in request["inputs"]]
            client.async_stream_infer(request["model"], given, request_id=request["id"])
        client.stop_stream()
    return outcomes


def call(name, form, url, **arguments):
    if name == "infer":
        return infer(form, url, **arguments)
    if name == "stream":
        return stream(form, url, **arguments)
    if form == "grpc" and name.startswith("get_"):
        arguments["as_json"] = True
    return getattr(client_of(form, url), name)(**arguments)


def main():
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"result": call(request.pop("call"), **request)}
        except InferenceServerException as error:
            text = error.message()
            answer = {"error": {"type": "InferenceServerException", "text": text, "status": str(error.status())}}
        print(json.dumps(answer), flush=True)


main()
