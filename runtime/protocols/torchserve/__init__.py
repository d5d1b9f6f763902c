"""TorchServe's protocol, pure: its inference API over REST and gRPC.

    forms        the values of a request: its body, the parts of a multipart form, the fields of a form
    values       what one value holds: JSON, a NumPy array (npy) or bytes
    binding      values and a model's signature -> a query
    answers      a prediction -> JSON, an entry per row
    inference    the translator for REST
    calls        the translator for gRPC
    faults       errors in TorchServe's form, and the headers of every answer

TorchServe hands a body to the model's Python handler, which gives it a meaning. An ONNX model has no handler, so its
meaning is fixed here: docs/protocols/torchserve.md.
Source: TorchServe 0.12, "Inference API" (https://pytorch.org/serve/inference_api.html) and its frontend.
"""
