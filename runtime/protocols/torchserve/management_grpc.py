"""TorchServe's ManagementAPIsService: its messages, read as the REST requests are. Pure.

A number that is not positive counts as not given, and so does an empty text: proto3 has no other way to leave one out.
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
    """A model, and its version if one is asked for."""

    model: str
    version: str | None


def refuse(fault: ScalezeroError) -> Answer:
    """The answer that tells a gRPC client of the error, with TorchServe's code and text."""
    _, kind, text = error_fields(fault)
    message = f"{text}\n{management_faults.full_name(kind)}"
    return grpc_error_answer(fault, message, status=management_faults.grpc_code(fault))


def describe(message: bytes) -> Version:
    """Read a DescribeModelRequest; `customized` has no meaning without a handler. Raises `InvalidInput`."""
    from runtime.protocols.protos import torchserve_management_pb2 as pb

    request = _read(pb.DescribeModelRequest.FromString, message)
    return Version(request.model_name, request.model_version or None)


def page(message: bytes) -> tuple[int, int]:
    """Read a ListModelsRequest: the limit, and the first model. Raises `InvalidInput`.

    A limit of 0 is none at all. TorchServe takes it for a page of no models, which no client asks for.
    """
    from runtime.protocols.protos import torchserve_management_pb2 as pb

    request = _read(pb.ListModelsRequest.FromString, message)
    return request.limit or management.PAGE, request.next_page_token


def registration(message: bytes) -> Registration:
    """Read a RegisterModelRequest. Raises `InvalidInput`."""
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
    """Read a ScaleWorkerRequest. Raises `InvalidInput`."""
    from runtime.protocols.protos import torchserve_management_pb2 as pb

    request = _read(pb.ScaleWorkerRequest.FromString, message)
    least = request.min_worker if request.min_worker > 0 else 1
    most = request.max_worker if request.max_worker > 0 else None
    version = request.model_version or None
    asked = management.scaled(least, most, synchronous=request.synchronous, version=version)
    return Version(request.model_name, version), asked


def set_default(message: bytes) -> Version:
    """Read a SetDefaultRequest. Raises `InvalidInput`."""
    from runtime.protocols.protos import torchserve_management_pb2 as pb

    request = _read(pb.SetDefaultRequest.FromString, message)
    return Version(request.model_name, request.model_version)


def unregister(message: bytes) -> Version:
    """Read an UnregisterModelRequest. Raises `InvalidInput`."""
    from runtime.protocols.protos import torchserve_management_pb2 as pb

    request = _read(pb.UnregisterModelRequest.FromString, message)
    if not request.model_name:
        raise InvalidInput("model_name", got="none", expected="the name of a model")
    return Version(request.model_name, request.model_version or None)


def response(text: str) -> bytes:
    """A ManagementResponse."""
    from runtime.protocols.protos import torchserve_management_pb2 as pb

    return pb.ManagementResponse(msg=text).SerializeToString()


def _read(parse: Callable[[bytes], M], message: bytes) -> M:
    from google.protobuf.message import DecodeError

    try:
        return parse(message)
    except DecodeError as error:
        raise InvalidInput("message", got=f"no protobuf ({error})", expected="a message of this method") from None
