"""ovmsclient over HTTP: `PORT`; prints what it got as JSON."""

import json
import sys

import numpy as np
from ovmsclient import make_http_client

client = make_http_client(f"127.0.0.1:{sys.argv[1]}")
a, b = np.array([[1, 2], [3, 4]], np.float32), np.array([[0.1, 0.5], [1e-7, np.inf]], np.float32)


def refused(call, *arguments, **options):
    """The class of the client's exception, and its text."""
    try:
        call(*arguments, **options)
    except Exception as error:  # noqa: BLE001 - which one it is, is the answer
        return [type(error).__name__, str(error)]
    return []


outputs = client.predict({"a": a, "b": b}, "m")
told = {
    "outputs": {name: array.tolist() for name, array in outputs.items()},
    "versioned": sorted(client.predict({"a": a, "b": b}, "m", model_version=7)),
    "status": client.get_model_status("m"),
    "status_versioned": client.get_model_status("m", model_version=7),
    "unknown_model": refused(client.predict, {"a": a}, "x"),
    "unknown_version": refused(client.predict, {"a": a, "b": b}, "m", model_version=5),
    "unknown_status": refused(client.get_model_status, "m", model_version=5),
    "missing": refused(client.predict, {"a": a}, "m"),
}
sys.stdout.write(json.dumps(told))
