"""gRPC over the same port and the same predictor: unary calls, without a gRPC server library.

    framing     one message out of a request's body, one message into an answer's body; pure
    unary       a handler for one unary method: an inference, or an endpoint that answers from a message
    batch       a handler for one unary method that makes several inferences, each with its own outcome
    health      grpc.health.v1
    services    every method by its path, and which requests are gRPC calls

A request is a gRPC call by its content type, wherever its path leads: then every answer has gRPC's form, those of the
transport included. `runtime.protocols.grpc_errors` builds the refusals.
Source: gRPC over HTTP2 (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md).
"""
