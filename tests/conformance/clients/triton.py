"""tritonclient over HTTP and gRPC, driven by lines of JSON, in an environment of its own (see tests/clients.py).

A tensor is {"name", "datatype", "shape", "data"}: its binary form in base64.
"""

import base64
import json
import struct
import sys

import ml_dtypes
import numpy as np
from tritonclient import grpc, http
from tritonclient.utils import InferenceServerException, triton_to_np_dtype

CLIENTS = {}


def connected(form, url):
    if (form, url) not in CLIENTS:
        module = {"http": http, "grpc": grpc}[form]
        options = {"network_timeout": 20.0} if form == "http" else {}
        CLIENTS[form, url] = module, module.InferenceServerClient(url, **options)
    return CLIENTS[form, url]


def array_of(tensor):
    data = base64.b64decode(tensor["data"])
    if tensor["datatype"] == "BYTES":
        flat = np.array(list(strings(data)), dtype=object)
    elif tensor["datatype"] == "BF16":
        flat = np.frombuffer(data, ml_dtypes.bfloat16)
    else:
        flat = np.frombuffer(data, triton_to_np_dtype(tensor["datatype"]))
    return flat.reshape(tensor["shape"])


def strings(data):
    at = 0
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at)
        yield data[at + 4 : at + 4 + length]
        at += 4 + length


def bytes_of(array, datatype):
    if datatype == "BYTES":
        texts = [each if isinstance(each, bytes) else each.encode() for each in array.reshape(-1)]
        return b"".join(struct.pack("<I", len(each)) + each for each in texts)
    if datatype == "BF16" and array.dtype == np.float32:
        array = array.astype(ml_dtypes.bfloat16)
    return np.ascontiguousarray(array).tobytes()


def infer(form, url, model, inputs, outputs=None, *, binary=True, version="", id=""):
    module, client = connected(form, url)
    given = []
    for tensor in inputs:
        each = module.InferInput(tensor["name"], tensor["shape"], tensor["datatype"])
        array = array_of(tensor)
        if form == "http":
            each.set_data_from_numpy(array, binary_data=binary)
        else:
            each.set_data_from_numpy(array)
        given.append(each)
    wanted = None
    if outputs is not None:
        arguments = {"binary_data": binary} if form == "http" else {}
        wanted = [module.InferRequestedOutput(name, **arguments) for name in outputs]
    result = client.infer(model, given, outputs=wanted, model_version=version, request_id=id)
    response = result.get_response()
    if form == "grpc":
        facts = {"id": response.id, "model_name": response.model_name, "model_version": response.model_version}
        described = [(each.name, each.datatype, list(each.shape)) for each in response.outputs]
    else:
        facts = {name: response.get(name, "") for name in ("id", "model_name", "model_version")}
        described = [(each["name"], each["datatype"], each["shape"]) for each in response["outputs"]]
    tensors = []
    for name, datatype, shape in described:
        data = base64.b64encode(bytes_of(result.as_numpy(name), datatype)).decode()
        tensors.append({"name": name, "datatype": datatype, "shape": shape, "data": data})
    return {**facts, "outputs": tensors}


def stream(form, url, requests):
    """The outcomes of these requests on one stream, as they come."""
    module, _ = connected(form, url)
    outcomes = []

    def took(result, error):
        if error:  # the client keeps what else is in the answer to itself
            outcomes.append({"error": error.message()})
            return
        response = result.get_response()
        [output] = response.outputs
        data = base64.b64encode(bytes_of(result.as_numpy(output.name), output.datatype)).decode()
        final = response.parameters["triton_final_response"].bool_param
        outcomes.append({"id": response.id, "final": final, "data": data})

    with module.InferenceServerClient(url) as client:
        client.start_stream(took)
        for request in requests:
            given = []
            for tensor in request["inputs"]:
                each = module.InferInput(tensor["name"], tensor["shape"], tensor["datatype"])
                each.set_data_from_numpy(array_of(tensor))
                given.append(each)
            client.async_stream_infer(request["model"], given, request_id=request["id"])
        client.stop_stream()
    return outcomes


def call(name, form, url, **arguments):
    if name == "infer":
        return infer(form, url, **arguments)
    if name == "stream":
        return stream(form, url, **arguments)
    _, client = connected(form, url)
    if form == "grpc" and name.startswith("get_"):
        arguments["as_json"] = True
    return getattr(client, name)(**arguments)


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
