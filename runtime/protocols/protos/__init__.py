"""The messages of every gRPC service that is served here, made from the .proto files of this folder.

Each `NAME.proto` is written from a protocol's public facts: packages, messages, field numbers. `scripts/protos` makes
`NAME_pb2.py` and its types `NAME_pb2.pyi` from it; both are checked in. `pool` says why they have a descriptor pool of
their own. A protocol imports its messages when it is first used: google.protobuf takes some 10 ms to import, and a cold
start must not pay for it.
"""
