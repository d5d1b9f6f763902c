"""TorchServe's protocol: its inference API over REST and gRPC, and its management API. Pure.

    forms        the values of a request: its body, the parts of a multipart form, the fields of a form
    values       one value: JSON, a NumPy array (npy) or bytes
    binding      values and a model's signature -> a query
    answers      a prediction -> JSON, an entry per row
    inference    the translator for REST
    calls        the translator for gRPC
    faults       errors in TorchServe's form, and the headers of every answer
    management   the requests and answers of the management API; management_grpc: over gRPC
    registering  the URLs that models may be registered from; keys: the keys of requests

In TorchServe, the model's Python handler interprets the body. An ONNX model has no handler, so these modules define the
meaning of a body: docs/protocols/torchserve.md.
Source: TorchServe 0.12, "Inference API" (https://pytorch.org/serve/inference_api.html) and its frontend.
"""
