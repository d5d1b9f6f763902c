"""TorchServe's ManagementAPIsService: its messages, with the same meaning as the REST requests. Pure.

A number that is not positive and an empty text are ignored: proto3 has no other way to omit them.
Source: pytorch/serve, grpcimpl/ManagementImpl.java and util/GRPCUtils.java.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from runtime.errors import InvalidInput, ScalezeroError
from runtime.http.messages import Answer
from runtime.protocols.grpc_errors import grpc_error_answer
from runtime.protocols.torchserve import management, management_faults
from runtime.protocols.torchserve.faults import error_fields
from runtime.protocols.torchserve.management import Registration, Scaling

if TYPE_CHECKING:
    from google.protobuf.message import Message

M = TypeVar("M", bound="Message")
SERVICE: Final = "org.pytorch.serve.grpc.management.ManagementAPIsService"


class Version(NamedTuple):
    """A model, and the requested version, if any."""

    model: str
    version: str | None


def refuse(fault: ScalezeroError) -> Answer:
    """Return the gRPC answer for an error, with TorchServe's code and text."""
    _, kind, text = error_fields(fault)
    message = f"{text}\n{management_faults.full_name(kind)}"
    return grpc_error_answer(fault, message, status=management_faults.grpc_code(fault))


def describe(message: bytes) -> Version:
    """Parse a DescribeModelRequest; `customized` has no effect, as there is no handler. Raises `InvalidInput`."""
    from runtime.protocols.protos import torchserve_management_pb2 as pb

    request = _read(pb.DescribeModelRequest.FromString, message)
    return Version(request.model_name, request.model_version or None)


def page(message: bytes) -> tuple[int, int]:
    """Parse a ListModelsRequest: return the limit, and the index of the first model. Raises `InvalidInput`.

    A limit of 0 means the default. In TorchServe it means a page of no models, which no client needs.
    """
    from runtime.protocols.protos import torchserve_management_pb2 as pb

    request = _read(pb.ListModelsRequest.FromString, message)
    return request.limit or management.PAGE, request.next_page_token


def registration(message: bytes) -> Registration:
    """Parse a RegisterModelRequest. Raises `InvalidInput`."""
    from runtime.protocols.protos import torchserve_management_pb2 as pb

    request = _read(pb.RegisterModelRequest.FromString, message)
    numbers = {name: getattr(request, name) for name in management.NUMBERS}
    return management.registration_of(
        url=request.url,
        model_name=request.model_name,
        runtime=request.runtime,
        numbers={name: number if number > 0 else None for name, number in numbers.items()},
        synchronous=request.synchronous,
    )


def scaling(message: bytes) -> tuple[Version, Scaling]:
    """Parse a ScaleWorkerRequest. Raises `InvalidInput`."""
    from runtime.protocols.protos import torchserve_management_pb2 as pb

    request = _read(pb.ScaleWorkerRequest.FromString, message)
    least = request.min_worker if request.min_worker > 0 else 1
    most = request.max_worker if request.max_worker > 0 else None
    version = request.model_version or None
    scaling = management.scaled(least, most, synchronous=request.synchronous, version=version)
    return Version(request.model_name, version), scaling


def set_default(message: bytes) -> Version:
    """Parse a SetDefaultRequest. Raises `InvalidInput`."""
    from runtime.protocols.protos import torchserve_management_pb2 as pb

    request = _read(pb.SetDefaultRequest.FromString, message)
    return Version(request.model_name, request.model_version)


def unregister(message: bytes) -> Version:
    """Parse an UnregisterModelRequest. Raises `InvalidInput`."""
    from runtime.protocols.protos import torchserve_management_pb2 as pb

    request = _read(pb.UnregisterModelRequest.FromString, message)
    if not request.model_name:
        raise InvalidInput("model_name", got="none", expected="the name of a model")
    return Version(request.model_name, request.model_version or None)


def response(text: str) -> bytes:
    """Return a ManagementResponse."""
    from runtime.protocols.protos import torchserve_management_pb2 as pb

    return pb.ManagementResponse(msg=text).SerializeToString()


def _read(parse: Callable[[bytes], M], message: bytes) -> M:
    from google.protobuf.message import DecodeError

    try:
        return parse(message)
    except DecodeError as error:
        got = f"invalid protobuf ({error})"
        raise InvalidInput("message", got=got, expected="the request message of this method") from None
