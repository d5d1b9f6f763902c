"""The descriptor pool of the generated modules, and how a module gets its classes from it.

protobuf's default pool holds each file name and each symbol once per process. An author's function may import
tritonclient, TensorFlow or grpcio-health-checking; they define some of our symbols in files of their own, and whichever
is imported second would fail. KServe's and Triton's definitions of one package exclude each other there as well.
So our files live in a pool of their own, which no other package sees.

Two consequences. A message made here is not an instance of another package's class of the same name: only bytes pass
between them. And fields of google.protobuf's types (Any, Int64Value, Duration) hold this pool's classes: fill them in
place (`status.details.add().Pack(detail)`), not by passing an object of `any_pb2`.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

POOL: Final = DescriptorPool()


class Method(NamedTuple):
    """One method of a gRPC service."""

    path: str  # of the HTTP/2 request: /package.Service/Method
    request: type[Message]
    response: type[Message]
    streams_requests: bool
    streams_responses: bool


def define(namespace: dict[str, object], file: bytes, *, imports: Iterable[FileDescriptor]) -> FileDescriptor:
    """Add a serialized FileDescriptorProto to the pool, and its messages and enums to a module's namespace.

    As in protoc's modules, the values of a top-level enum are names of the module too. `imports` are the files that
    this one imports; google.protobuf's own are in the default pool and are copied. Raises TypeError where the file does
    not fit what the pool holds.
    """
    for each in imports:
        POOL.AddSerializedFile(each.serialized_pb)
    descriptor = POOL.AddSerializedFile(file)
    for name, message in descriptor.message_types_by_name.items():
        namespace[name] = GetMessageClass(message)
    for name, enum in descriptor.enum_types_by_name.items():
        namespace[name] = EnumTypeWrapper(enum)
        namespace.update((value.name, value.number) for value in enum.values)
    return descriptor


def methods(file: FileDescriptor) -> Iterator[Method]:
    """List the methods of every service that a file defines."""
    for service in file.services_by_name.values():
        for method in service.methods:
            yield Method(
                path=f"/{service.full_name}/{method.name}",
                request=GetMessageClass(method.input_type),
                response=GetMessageClass(method.output_type),
                streams_requests=method.client_streaming,
                streams_responses=method.server_streaming,
            )
