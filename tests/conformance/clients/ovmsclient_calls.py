"""ovmsclient over gRPC: `PORT INPUTS.npz OUTPUTS.npz`; prints the rest of what it got as JSON."""

import json
import sys

import numpy as np
from ovmsclient import make_grpc_client

port, given, answered = sys.argv[1:]
client = make_grpc_client(f"127.0.0.1:{port}")
inputs = dict(np.load(given))
outputs = client.predict(inputs, "m")
np.savez(answered, **outputs)
versioned = client.predict(inputs, "m", model_version=7)


def refused(**arguments: object) -> list[str]:
    """The class of the client's exception, and its text."""
    try:
        client.predict(**{"inputs": inputs, "model_name": "m", **arguments})
    except Exception as error:  # noqa: BLE001 - which one it is, is the answer
        return [type(error).__name__, str(error)]
    return []


told = {
    "versioned": sorted(versioned) == sorted(outputs),
    "status": client.get_model_status("m"),
    "status_versioned": client.get_model_status("m", model_version=7),
    "metadata": client.get_model_metadata("m"),
    "unknown_model": refused(model_name="x"),
    "unknown_version": refused(model_version=5),
    "missing": refused(inputs={"x_float32": inputs["x_float32"]}),
}
sys.stdout.write(json.dumps(told))
