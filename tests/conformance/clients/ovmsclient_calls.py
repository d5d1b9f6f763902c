"""ovmsclient over gRPC. Arguments: `PORT INPUTS.npz OUTPUTS.npz`. Writes the outputs, prints other results as JSON."""

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


def error_of(**arguments: object) -> list[str]:
    """Return the class of the client's exception, and its text."""
    try:
        client.predict(**{"inputs": inputs, "model_name": "m", **arguments})
    except Exception as error:  # noqa: BLE001 - the class of the exception is the result
        return [type(error).__name__, str(error)]
    return []


results = {
    "versioned": sorted(versioned) == sorted(outputs),
    "status": client.get_model_status("m"),
    "status_versioned": client.get_model_status("m", model_version=7),
    "metadata": client.get_model_metadata("m"),
    "unknown_model": error_of(model_name="x"),
    "unknown_version": error_of(model_version=5),
    "missing": error_of(inputs={"x_float32": inputs["x_float32"]}),
}
sys.stdout.write(json.dumps(results))
