"""gRPC over the same port and the same predictor, without a gRPC server library.

    framing     reads and writes messages in the bodies of requests and responses; pure
    unary       handlers of unary methods: an inference, or an endpoint
    batch       the handler of a unary method with several inferences, each with its own result
    streams     the handler of streaming methods
    messages    the messages of a stream
    pipeline    streaming methods that answer each message like a unary call
    health      grpc.health.v1
    reflection  grpc.reflection.v1 and v1alpha
    services    all methods by path, and the routes of gRPC calls

The content type makes a request a gRPC call, whatever its path. Every response then has gRPC's form, also if the
transport refuses the request. `runtime.protocols.grpc_errors` builds the refusals.
Source: gRPC over HTTP2 (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).
"""
