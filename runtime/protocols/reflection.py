"""Server reflection: the files that define the mounted services, from the descriptor pool of `protos`. Pure.

The answers contain only these files and their imports: a protocol that is not selected is not described.
Source: gRPC Server Reflection Protocol (https://github.com/grpc/grpc/blob/master/doc/server-reflection.md).
"""

from collections.abc import Iterator, Sequence
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.message import DecodeError

from runtime.errors import InvalidInput
from runtime.protocols.protos.pool import POOL
from runtime.status import Grpc

if TYPE_CHECKING:
    from google.protobuf.descriptor import FileDescriptor

_PROTOS: Final = "runtime.protocols.protos"
_MODULES: Final = {  # the modules that define the services, by the services' packages
    "grpc.health.v1": "grpc_health_v1_pb2",
    "grpc.reflection.v1": "grpc_reflection_v1_pb2",
    "grpc.reflection.v1alpha": "grpc_reflection_v1alpha_pb2",
    "inference": "open_inference_pb2",
    "ml.v1": "ml_v1_pb2",
    "org.pytorch.serve.grpc.inference": "torchserve_inference_pb2",
    "org.pytorch.serve.grpc.management": "torchserve_management_pb2",
    "org.pytorch.serve.grpc.openinference": "torchserve_open_inference_pb2",
    "tensorflow.serving": "tensorflow_serving_pb2",
}
_DETAILS: Final = "google_rpc_pb2"  # the messages that any error may contain
_SHOWN_CHARS: Final = 200  # of a name in an error message


class Descriptions:
    """The descriptions of the services of one listener."""

    def __init__(self, services: Sequence[str]) -> None:
        """Import the modules of the services' messages; `services` are full names."""
        self._services = sorted(services)
        self._files: dict[str, FileDescriptor] = {}
        self._add(_module(_DETAILS).DESCRIPTOR)
        for service in services:
            package = service.rpartition(".")[0]
            if package in _MODULES:
                self._add(_module(_MODULES[package]).DESCRIPTOR)

    def answer(self, message: bytes, *, version: str, sent: set[str]) -> bytes:
        """Return the ServerReflectionResponse to a ServerReflectionRequest, in that version ("v1" or "v1alpha").

        `sent` are the names of the files that this stream has already sent; this method adds to it. Raises
        `InvalidInput` if the message is not such a request.
        """
        pb = _module(f"grpc_reflection_{version}_pb2")
        try:
            request = pb.ServerReflectionRequest.FromString(message)
        except DecodeError as error:
            got = f"invalid protobuf ({error})"
            raise InvalidInput("message", got=got, expected="a ServerReflectionRequest") from error
        response = pb.ServerReflectionResponse(valid_host=request.host, original_request=request)
        try:
            self._fill(response, request, sent)
        except _UnknownNameError as error:
            response.error_response.error_code = error.code.value
            response.error_response.error_message = str(error)
        return bytes(response.SerializeToString())

    def _fill(self, response: Any, request: Any, sent: set[str]) -> None:  # noqa: ANN401 - of either version
        kind = request.WhichOneof("message_request")
        match kind:
            case "list_services":
                for name in self._services:
                    response.list_services_response.service.add(name=name)
            case "file_by_filename":
                file = self._files.get(request.file_by_filename)
                if file is None:
                    raise _UnknownNameError(
                        "file", request.file_by_filename, expected=f"one of {', '.join(self._files)}"
                    )
                response.file_descriptor_response.file_descriptor_proto.extend(_unsent(file, sent))
            case "file_containing_symbol":
                file = self._file_of(request.file_containing_symbol)
                response.file_descriptor_response.file_descriptor_proto.extend(_unsent(file, sent))
            case "all_extension_numbers_of_type":
                name = request.all_extension_numbers_of_type
                self._message(name)
                response.all_extension_numbers_response.base_type_name = name  # no message here has extensions
            case "file_containing_extension":
                extension = request.file_containing_extension
                self._message(extension.containing_type)
                got = f"{extension.extension_number} of {extension.containing_type}"
                raise _UnknownNameError("extension", got, expected="none, as no message here has extensions")
            case _:
                raise _UnknownNameError("message_request", "", expected="one of its fields", code=Grpc.INVALID_ARGUMENT)

    def _message(self, name: str) -> None:
        """Check that a message of that name exists. Raises `_UnknownNameError`."""
        file = self._file_of(name)
        inner = name.removeprefix(f"{file.package}.").split(".")
        if inner[0] not in file.message_types_by_name:
            raise _UnknownNameError("message", name, expected="the full name of a message")

    def _file_of(self, symbol: str) -> "FileDescriptor":
        file = _defining(symbol)
        if file is None or file.name not in self._files:
            expected = f"a full name in one of the files of {', '.join(self._services)}"
            raise _UnknownNameError("symbol", symbol, expected=expected)
        return file

    def _add(self, file: "FileDescriptor") -> None:
        if file.name not in self._files:
            self._files[file.name] = file
            for each in file.dependencies:
                self._add(each)


class _UnknownNameError(Exception):
    """The request names an unknown file or symbol. It becomes an answer of the protocol, and the stream continues."""

    def __init__(self, what: str, got: str, *, expected: str, code: Grpc = Grpc.NOT_FOUND) -> None:
        super().__init__(f"{what}: got {got[:_SHOWN_CHARS]!r}; expected {expected}")
        self.code = code


def _defining(symbol: str) -> "FileDescriptor | None":
    """Return the file that defines a message, an enum, a field, a service or a method; None if no file does."""
    try:
        return POOL.FindFileContainingSymbol(symbol)
    except KeyError:
        pass
    service, _, method = symbol.rpartition(".")  # the pool does not find methods
    try:
        found = POOL.FindServiceByName(service)
    except KeyError:
        return None
    return found.file if method in found.methods_by_name else None


def _unsent(file: "FileDescriptor", sent: set[str]) -> Iterator[bytes]:
    """Yield the file and those of its imports that the stream has not sent yet, each serialized."""
    sent.add(file.name)
    yield file.serialized_pb
    for each in file.dependencies:
        if each.name not in sent:
            yield from _unsent(each, sent)


def _module(name: str) -> ModuleType:
    return import_module(f"{_PROTOS}.{name}")
