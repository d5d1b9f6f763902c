"""Tensors as JSON: {"name", "datatype", "shape", "data"}, where "data" is their binary form in base64.

It runs in the environments of the clients (see tests/clients.py), so it needs only NumPy.
"""

import base64
import struct

import numpy as np


def array_of(tensor, dtype):
    """Return the array of a tensor. `dtype` is the client's dtype for the datatype, or object for BYTES."""
    data = base64.b64decode(tensor["data"])
    flat = np.array(list(_strings(data)), object) if dtype == np.dtype(object) else np.frombuffer(data, dtype)
    return flat.reshape(tensor["shape"])


def tensor_of(name, datatype, shape, array):
    """Return the tensor of an array from a client."""
    if datatype == "BYTES":
        texts = [each if isinstance(each, bytes) else each.encode() for each in array.reshape(-1)]
        data = b"".join(struct.pack("<I", len(each)) + each for each in texts)
    else:
        data = np.ascontiguousarray(array).tobytes()
    return {"name": name, "datatype": datatype, "shape": list(shape), "data": base64.b64encode(data).decode()}


def _strings(data):
    at = 0
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at)
        yield data[at + 4 : at + 4 + length]
        at += 4 + length
