"""ModelInfer of inference.GRPCInferenceService: a ModelInferRequest to a query, and a ModelInferResponse.

The tensors of a request are raw or typed. Those of an answer are raw, as Triton's are; the clients of Triton and of
KServe read both. The answer has the id of the request, but not its parameters, as in Triton and KServe.
"""

from collections.abc import Mapping, Sequence
from functools import cache, lru_cache, partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from runtime.errors import InvalidInput
from runtime.http.messages import Buffer
from runtime.predictor import ReadyModel
from runtime.protobuf import delimited, head, varint
from runtime.protocols.open_inference import NAME, contents, datatypes, interface
from runtime.protocols.open_inference.interface import Interface, RequestedOutput
from runtime.protocols.open_inference.outline import SMALL, outline
from runtime.protocols.open_inference.repeated import Memory, Repeated
from runtime.tensors import Call, Prediction, Query, TensorSpec

if TYPE_CHECKING:
    from types import ModuleType

    import numpy as np

_NOTHING: Final[Mapping[int, list[memoryview]]] = {}


class Parts(NamedTuple):
    """A parsed message."""

    request: Any  # ModelInferRequest
    raw: Sequence[Buffer]  # the raw tensors
    typed: Mapping[int, list[memoryview]] = (
        _NOTHING  # typed tensors that are not parsed yet, by the index of their input
    )
    repeated: Repeated | None = None  # the remembered message with the same prefix, if there is one


class _Bound(NamedTuple):
    """The result of `bind` for a repeated message, except for the bytes of its tensor."""

    field: str
    shape: tuple[int, ...]
    spec: TensorSpec
    form: Sequence[RequestedOutput]


class ModelInfer:
    """The messages of the method ModelInfer, and of each message of ModelStreamInfer."""

    name = NAME

    def __init__(self) -> None:
        self._memory = Memory(partial(parsed, "ModelInferRequest"))

    def decode(self, message: Buffer) -> Call:
        """Parse a ModelInferRequest; the tensors of a large one are not copied. Raises `InvalidInput`."""
        repeated = self._memory.find(message)
        if repeated is not None:
            tensors = (message[repeated.start :],)
            return Call(repeated.model, repeated.version, Parts(repeated.request, tensors, repeated=repeated))
        if len(message) <= SMALL:
            request = parsed("ModelInferRequest", message)
            self._memory.keep(message, request)
            parts = Parts(request, request.raw_input_contents)
        else:
            rest, raw, typed = outline(memoryview(message))
            request = parsed("ModelInferRequest", rest)
            parts = Parts(request, raw, typed)
        return Call(request.model_name, request.model_version or None, parts)

    def bind(self, call: Call, model: ReadyModel) -> list[Query]:
        """Return one query. Raises `InvalidInput` with the field, the received value and the allowed one."""
        parts: Parts = call.parts
        signature, repeated = model.signature, parts.repeated
        if repeated is not None and repeated.signature is signature:
            found: _Bound = repeated.bound
            return [Query((datatypes.read(found.field, parts.raw[0], found.shape, found.spec),), form=found.form)]
        known = interface.of(signature)
        tensors = _inputs(parts, known)
        outputs = parts.request.outputs
        form = _requested(outputs, known) if outputs else known.all_outputs(binary=True)
        if repeated is not None and len(tensors) == 1:
            spec = known.signature.inputs[0]
            repeated.bound = _Bound(f"inputs.{spec.name}", tuple(parts.request.inputs[0].shape), spec, form)
            repeated.signature = signature
        return [Query(tensors, form=form, id=parts.request.id)]

    def encode(
        self, queries: Sequence[Query], predictions: Sequence[Prediction], model: ReadyModel, *, latency: float
    ) -> list[Buffer]:
        """Return one ModelInferResponse in pieces; the protocol has no field for `latency`."""
        del latency
        query, prediction = queries[0], predictions[0]
        requested: Sequence[RequestedOutput] = query.form  # type: ignore[assignment] # `bind` sets it
        outputs = interface.of(model.signature).places
        described = [_identity(prediction.model, prediction.version)]
        if query.id:
            described.append(delimited(3, query.id.encode()))
        raw: list[Buffer] = []
        for place, _ in requested:
            array, tensor = prediction.outputs[place], outputs[place]
            described.append(_output(tensor.spec.name, tensor.datatype or "", array.shape))
            content = datatypes.write(array)
            raw += (_raw_head(len(content)), content)
        return [b"".join(described), *raw]


def parsed(kind: str, message: Buffer) -> Any:  # noqa: ANN401 - a class of the generated module
    """Parse a message of that class. Raises `InvalidInput`."""
    try:
        return _class(kind).FromString(message)
    except _decode_error() as error:
        raise InvalidInput("message", got=f"invalid protobuf ({error})", expected=f"an inference.{kind}") from error


def serialized(kind: str, **fields: Any) -> bytes:  # noqa: ANN401 - the fields of the message
    """Return a serialized message of that class; nested messages are dictionaries, enum values their names."""
    content: bytes = _class(kind)(**fields).SerializeToString()
    return content


def _inputs(parts: Parts, known: Interface) -> "list[np.ndarray]":
    """Return the tensors in the signature's order. Raises `InvalidInput`."""
    items, raw = parts.request.inputs, parts.raw
    if raw and len(raw) != len(items):
        expected = f"{len(items)}, one for each input"
        raise InvalidInput("raw_input_contents", got=f"{len(raw)} tensors", expected=expected)
    found: dict[str, np.ndarray] = {}
    for index, item in enumerate(items):
        name = item.name
        tensor = known.input(index, name)
        if name in found:
            raise InvalidInput(f"inputs.{name}", got="the same input twice", expected="each input once")
        if item.datatype != tensor.datatype:
            known.check_datatype(tensor, item.datatype)
        if item.parameters:
            interface.check_parameters(f"inputs.{name}.parameters", item.parameters)
        shape = tuple(item.shape)
        known.check_shape(tensor, shape)
        typed = index in parts.typed or item.HasField("contents")
        if raw:
            if typed:
                raise InvalidInput(f"inputs.{name}", got="contents and raw_input_contents", expected="one of them")
            found[name] = datatypes.read(f"inputs.{name}", raw[index], shape, tensor.spec)
        elif index in parts.typed:
            found[name] = contents.read_large(parts.typed[index], tensor, shape)
        else:
            found[name] = contents.read(item.contents, tensor, shape)
    return known.in_order(found)


def _requested(outputs: Any, known: Interface) -> list[RequestedOutput]:  # noqa: ANN401 - InferRequestedOutputTensor
    """Return the outputs that the caller requests, in the order of the request. Raises `InvalidInput`."""
    requested = []
    for index, item in enumerate(outputs):
        if item.parameters:
            interface.check_parameters(f"outputs[{index}].parameters", item.parameters)
        requested.append(known.output(index, item.name, binary=True))
        interface.check_once(index, requested)
    return requested


@lru_cache(64)
def _identity(model: str, version: str) -> bytes:
    return delimited(1, model.encode()) + delimited(2, version.encode())


@lru_cache(1024)
def _output(name: str, datatype: str, shape: tuple[int, ...]) -> bytes:
    """Return an InferOutputTensor without contents, as a field of the response."""
    sizes = b"".join(map(varint, shape))
    described = delimited(1, name.encode()) + delimited(2, datatype.encode())
    return delimited(5, described + (delimited(3, sizes) if sizes else b""))


@lru_cache(1024)
def _raw_head(length: int) -> bytes:
    return head(6, length)


@cache
def _class(kind: str) -> Any:  # noqa: ANN401 - as above
    return getattr(_messages(), kind)


def _messages() -> "ModuleType":
    """Return the generated module; the first call imports it."""
    from runtime.protocols.protos import open_inference_pb2

    return open_inference_pb2


@cache
def _decode_error() -> type[Exception]:
    from google.protobuf.message import DecodeError

    return DecodeError
