"""ovmsclient over HTTP. Argument: `PORT`. Prints the results as JSON."""

import json
import sys

import numpy as np
from ovmsclient import make_http_client

client = make_http_client(f"127.0.0.1:{sys.argv[1]}")
a, b = np.array([[1, 2], [3, 4]], np.float32), np.array([[0.1, 0.5], [1e-7, np.inf]], np.float32)


def error_of(call, *arguments, **options):
    """Return the class of the client's exception, and its text."""
    try:
        call(*arguments, **options)
    except Exception as error:  # noqa: BLE001 - the class of the exception is the result
        return [type(error).__name__, str(error)]
    return []


outputs = client.predict({"a": a, "b": b}, "m")
results = {
    "outputs": {name: array.tolist() for name, array in outputs.items()},
    "versioned": sorted(client.predict({"a": a, "b": b}, "m", model_version=7)),
    "status": client.get_model_status("m"),
    "status_versioned": client.get_model_status("m", model_version=7),
    "unknown_model": error_of(client.predict, {"a": a}, "x"),
    "unknown_version": error_of(client.predict, {"a": a, "b": b}, "m", model_version=5),
    "unknown_status": error_of(client.get_model_status, "m", model_version=5),
    "missing": error_of(client.predict, {"a": a}, "m"),
}
sys.stdout.write(json.dumps(results))
