"""TensorFlow Serving's APIs, REST and gRPC: requests to tensors, and outputs to answers.

signature       a model in TensorFlow's terms: data types, shapes, the signature "serving_default"
examples        Classify and Regress: examples to inputs, outputs to classes or values
model_status    the state of a version
refusals        errors with TensorFlow Serving's messages; grpc_refusals: as gRPC answers
rest            the REST API, over json_*
grpc_predict, grpc_examples, grpc_models
                the methods of the gRPC services, over messages (the generated classes, ModelSpec), tensor_proto
                (over varints) and results; protocols.outline splits large messages
"""
