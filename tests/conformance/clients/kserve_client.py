"""KServe's InferenceRESTClient and InferenceGRPCClient, controlled by lines of JSON; see triton_client.py."""

import asyncio
import json
import sys

import grpc
import httpx
import numpy as np
from kserve import InferenceGRPCClient, InferenceRESTClient, InferInput, InferRequest, InferResponse, RESTConfig
from kserve.protocol.infer_type import RequestedOutput
from kserve.utils.numpy_codec import to_np_dtype
from tensors import array_of, tensor_of

CHANNEL = [("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", -1)]
GRPC = {}
REST = InferenceRESTClient(RESTConfig(protocol="v2", transport=httpx.AsyncHTTPTransport(), timeout=60))


def input_of(form, tensor, *, binary):
    """Return the client's input. Over gRPC, the client sends lists as typed contents and arrays as raw contents."""
    array = array_of(tensor, np.dtype(to_np_dtype(tensor["datatype"])))
    given = InferInput(tensor["name"], tensor["shape"], tensor["datatype"])
    if form == "rest" or binary:
        given.set_data_from_numpy(array, binary_data=binary)
    else:
        given.data = array.reshape(-1).tolist()
    return given


async def infer(form, url, model, inputs, outputs=None, *, binary=True, id=None):
    request = InferRequest(
        model_name=model,
        request_id=id,
        infer_inputs=[input_of(form, each, binary=binary) for each in inputs],
        parameters={"binary_data_output": binary} if form == "rest" else None,
        request_outputs=outputs and [RequestedOutput(name) for name in outputs],
    )
    if form == "rest":
        response = await REST.infer(f"http://{url}", request, model_name=model)
    else:
        response = await grpc_client(url).infer(request)
    assert isinstance(response, InferResponse)
    tensors = [tensor_of(each.name, each.datatype, each.shape, each.as_numpy()) for each in response.outputs]
    facts = {"id": response.id, "model_name": response.model_name, "model_version": response.model_version}
    return {**facts, "outputs": tensors}


def grpc_client(url):
    if url not in GRPC:
        GRPC[url] = InferenceGRPCClient(url, channel_args=CHANNEL, retries=0)
    return GRPC[url]


async def call(name, form, url, **arguments):
    if name == "infer":
        return await infer(form, url, **arguments)
    if form == "rest":
        return await getattr(REST, name)(f"http://{url}", **arguments)
    return await getattr(grpc_client(url), name)(**arguments)


async def main():
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        request = json.loads(line)
        try:
            answer = {"result": await call(request.pop("call"), **request)}
        except grpc.RpcError as error:
            answer = {"error": {"type": "RpcError", "text": error.details(), "status": error.code().name}}
        except httpx.HTTPStatusError as error:
            text, status = error.response.json()["error"], str(error.response.status_code)
            answer = {"error": {"type": "HTTPStatusError", "text": text, "status": status}}
        print(json.dumps(answer), flush=True)


asyncio.run(main())
