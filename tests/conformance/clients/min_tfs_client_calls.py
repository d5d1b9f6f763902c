"""min-tfs-client. Arguments: `PORT INPUTS.npz OUTPUTS.npz`. Writes the outputs, prints other results as JSON."""

import json
import sys

import grpc
import numpy as np
from min_tfs_client.requests import TensorServingClient
from min_tfs_client.tensors import tensor_proto_to_ndarray

port, given, answered = sys.argv[1:]
client = TensorServingClient(host="127.0.0.1", port=int(port))
inputs = dict(np.load(given))
response = client.predict_request(model_name="m", input_dict=inputs, model_version=7)
np.savez(answered, **{name: tensor_proto_to_ndarray(tensor) for name, tensor in response.outputs.items()})
spec = response.model_spec
results = {"model": spec.name, "version": spec.version.value, "signature": spec.signature_name}
try:
    client.predict_request(model_name="x", input_dict=inputs)
except grpc.RpcError as error:
    results["unknown_model"] = [error.code().name, error.details()]
sys.stdout.write(json.dumps(results))
