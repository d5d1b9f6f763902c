"""TensorFlow Serving's API: what its clients send, and what they expect back.

signature       a model as TensorFlow sees it: data types, shapes, the signature "serving_default"
examples        Classify and Regress: examples to inputs, outputs to classes or values
model_status    the state of a version
refusals        errors in its words; grpc_refusals: as gRPC answers
rest            its REST API, over json_*
grpc_predict, grpc_examples, grpc_models
                the methods of its gRPC services, over messages (the generated classes, ModelSpec), tensor_proto
                (over varints) and results; protocols.outline has large messages
"""
