"""The Open Inference Protocol, version 2, over REST: `POST /v2/models/{model}[/versions/{version}]/infer`.

    {"inputs": [{"name", "datatype", "shape", "data"}]}                              JSON tensors
    {"inputs": [{"name", "datatype", "shape", "parameters": {"binary_data_size"}}]}  and their bytes after the JSON
    only bytes, with Inference-Header-Content-Length: 0                              the only input of a model

Sources: Open Inference Protocol, "HTTP/REST"; Triton Inference Server, "Binary Tensor Data Extension".
"""

from collections.abc import Generator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from runtime.errors import InvalidInput
from runtime.http.messages import Answer, Buffer, Request, body_of
from runtime.model.signature import Signature
from runtime.predictor import ReadyModel
from runtime.protocols.json import slices, writer
from runtime.protocols.json import tensors as json_tensors
from runtime.protocols.json.lists import show
from runtime.protocols.open_inference import NAME, datatypes, interface
from runtime.protocols.open_inference.interface import Interface, RequestedOutput, Tensor
from runtime.tensors import STRING, Call, Prediction, Query

_HEADER: Final = "Inference-Header-Content-Length"
_LENGTH: Final = _HEADER.lower().encode()
_BINARY: Final = (b"content-type", b"application/octet-stream")
_MANY: Final = 5000  # numbers: more are written in pieces, so that the event loop is not blocked
_DIGITS: Final = 20  # of a length; Python refuses to parse thousands of digits
_FLAT: Final = 1  # axes


class Parts(NamedTuple):
    """A parsed request."""

    document: object  # None for a raw request
    tensors: memoryview  # the bytes after the JSON; of a raw request, the bytes of the only input


class OpenInference:
    """The translator of the Open Inference Protocol over REST."""

    name = NAME

    def decode(self, request: Request) -> Call:
        """Parse a small body at once. Raises `InvalidInput`."""
        head, tensors = _split(request)
        return _call(request, None if head is None else json_tensors.load(bytes(head)), tensors)

    def decode_slices(self, request: Request) -> Generator[None, None, Call]:
        """Parse a body of any size in steps. Raises `InvalidInput`."""
        head, tensors = _split(request)
        document = None
        if head is not None:
            document = yield from slices.parse(head)
        return _call(request, document, tensors)

    def bind(self, call: Call, model: ReadyModel) -> list[Query]:
        """Return one query. Raises `InvalidInput`."""
        return [bind(call.parts, model.signature)]

    def encode(
        self, queries: Sequence[Query], predictions: Sequence[Prediction], model: ReadyModel, *, latency: float
    ) -> Answer:
        """Return the answer, in pieces if its JSON is large; the protocol has no field for `latency`."""
        del latency
        return answer(queries[0], predictions[0], model.signature)


def bind(parts: Parts, signature: Signature) -> Query:
    """Return the query of a parsed request.

    Raises `InvalidInput` with the field, the received value and the allowed one.
    """
    known = interface.of(signature)
    if parts.document is None:
        return Query((_raw(parts.tensors, known),), form=known.all_outputs(binary=True))
    document = _object("body", parts.document)
    request_id = document.get("id", "")
    if not isinstance(request_id, str):
        raise InvalidInput("id", got=show(request_id), expected="a string")
    requested = _requested(document, known)
    return Query(_inputs(document, parts.tensors, known), form=requested, id=request_id)


def answer(query: Query, prediction: Prediction, signature: Signature) -> Answer:
    """Return the answer; it has binary data if one of the requested outputs is binary."""
    requested: Sequence[RequestedOutput] = query.form  # type: ignore[assignment] # `bind` sets it
    outputs: list[dict[str, Any]] = []
    blobs: list[Buffer] = []
    large = False
    known = interface.of(signature).places
    for place, as_bytes in requested:
        tensor, array = known[place], prediction.outputs[place]
        output: dict[str, Any] = {
            "name": tensor.spec.name,
            "datatype": tensor.datatype,
            "shape": list(array.shape),
        }
        if as_bytes:
            blobs.append(datatypes.write(array))
            output["parameters"] = {"binary_data_size": len(blobs[-1])}
        else:
            output["data"] = json_tensors.plain(array.reshape(-1))
            large |= array.size > _MANY or (array.dtype == STRING and writer.size_hint(array) > writer.PIECE)
        outputs.append(output)
    document = {"model_name": prediction.model, "model_version": prediction.version, "outputs": outputs}
    if query.id:
        document["id"] = query.id
    if not blobs:
        return Answer(200, writer.dump(document) if large else json_tensors.dump(document))
    head = b"".join(writer.dump(document)) if large else json_tensors.dump(document)
    return Answer(200, body_of([head, *blobs]), [_BINARY, (_LENGTH, b"%d" % len(head))])


def _call(request: Request, document: object, tensors: memoryview) -> Call:
    parameters = request.parameters
    return Call(parameters["model"], parameters.get("version"), Parts(document, tensors))


def _split(request: Request) -> tuple[memoryview | None, memoryview]:
    """Return the JSON of a body, or None if it has none, and the bytes after it."""
    body = memoryview(request.body)
    length = request.header(_LENGTH)
    if length is None:
        return body, body[:0]
    if not length.isdigit() or len(length) > _DIGITS or int(length) > len(body):
        raise InvalidInput(_HEADER, got=show(length.decode("latin-1")), expected=f"a number from 0 to {len(body)}")
    size = int(length)
    return (body[:size], body[size:]) if size else (None, body)


def _raw(data: memoryview, known: Interface) -> np.ndarray:
    """Return the only input of a model; the number of bytes gives the number of rows. Raises `InvalidInput`."""
    if len(known.inputs) != 1:
        raise InvalidInput("body", got="only bytes", expected=f"JSON, as the model has {len(known.inputs)} inputs")
    [tensor] = known.inputs.values()
    shape = tensor.spec.shape
    dynamic = () if shape is None else tuple(size for size in shape[1:] if not isinstance(size, int))
    if tensor.datatype in {None, "BYTES"} or shape is None or dynamic:
        expected = f"JSON that states the shape of {tensor.spec.describe()}"
        raise InvalidInput("body", got="only bytes", expected=expected)
    sizes = [size if isinstance(size, int) else 1 for size in shape]
    if shape and not isinstance(shape[0], int):
        sizes[0] = len(data) // max(1, interface.elements(sizes[1:]) * tensor.spec.dtype.itemsize)
    return datatypes.read(f"inputs.{tensor.spec.name}", data, tuple(sizes), tensor.spec)


def _inputs(document: dict[str, Any], data: memoryview, known: Interface) -> list[np.ndarray]:
    """Return the tensors in the signature's order; their bytes are in the order of the request.

    Raises `InvalidInput`.
    """
    found: dict[str, np.ndarray] = {}
    for index, value in enumerate(_list("inputs", document.get("inputs"))):
        item = _object(f"inputs[{index}]", value)
        tensor = known.input(index, item.get("name"))
        name = tensor.spec.name
        if name in found:
            raise InvalidInput(f"inputs.{name}", got="the same input twice", expected="each input once")
        size = _size(f"inputs.{name}", item, len(data))
        found[name] = _tensor(item, None if size is None else data[:size], tensor, known)
        data = data[size or 0 :]
    if len(data):
        expected = "as many bytes after the JSON as all binary_data_size together"
        raise InvalidInput("body", got=f"{len(data)} extra bytes", expected=expected)
    return known.in_order(found)


def _tensor(item: dict[str, Any], data: memoryview | None, tensor: Tensor, known: Interface) -> np.ndarray:
    field = f"inputs.{tensor.spec.name}"
    known.check_datatype(tensor, item.get("datatype"))
    shape = _shape(f"{field}.shape", item.get("shape"))
    known.check_shape(tensor, shape)
    if data is not None:
        return datatypes.read(field, data, shape, tensor.spec)
    if "data" not in item or tensor.datatype == "BF16":
        expected = "binary_data_size, as JSON has no form for BF16" if tensor.datatype == "BF16" else "data"
        raise InvalidInput(f"{field}.data", got="no bytes", expected=expected)
    return _from_json(f"{field}.data", item["data"], shape, tensor)


def _from_json(field: str, data: object, shape: tuple[int, ...], tensor: Tensor) -> np.ndarray:
    """Return the tensor of a flat or nested list. Raises `InvalidInput`."""
    array = json_tensors.tensor(field, data, tensor.spec._replace(shape=None, containers=()))
    if array.shape != shape and (array.ndim != _FLAT or array.size != interface.elements(shape)):
        allowed = f"{interface.elements(shape)} elements, flat or of shape {list(shape)}"
        raise InvalidInput(field, got=f"shape {list(array.shape)}", expected=allowed)
    return datatypes.shaped(field.removesuffix(".data"), array, shape)


def _size(field: str, item: dict[str, Any], available: int) -> int | None:
    """Return the number of bytes of an input after the JSON; None if its data is in the JSON. Raises `InvalidInput`."""
    parameters = _parameters(field, item)
    size = parameters.get("binary_data_size")
    if size is None:
        return None
    if "data" in item:
        raise InvalidInput(field, got="both data and binary_data_size", expected="one of them")
    if type(size) is not int or not 0 <= size <= available:
        expected = (
            f"0 to {available}, the number of remaining bytes after the JSON; {_HEADER} states where the JSON ends"
        )
        raise InvalidInput(f"{field}.parameters.binary_data_size", got=show(size), expected=expected)
    return size


def _shape(field: str, value: object) -> tuple[int, ...]:
    if isinstance(value, (list, np.ndarray)) and len(value) > interface.AXES:
        raise InvalidInput(field, got=f"{len(value)} axes", expected=f"at most {interface.AXES}")
    sizes = value.tolist() if isinstance(value, np.ndarray) else value
    if not isinstance(sizes, list) or any(type(size) is not int or size < 0 for size in sizes):
        raise InvalidInput(field, got=show(sizes), expected="a list of whole numbers from 0")
    return tuple(sizes)


def _requested(document: dict[str, Any], known: Interface) -> Sequence[RequestedOutput]:
    """Return the outputs that the caller requests, in the order of the request, or all. Raises `InvalidInput`."""
    parameters = _object("parameters", document.get("parameters") or {})
    default = _flag("parameters.binary_data_output", parameters.get("binary_data_output", False))
    if not document.get("outputs"):
        return known.all_outputs(binary=default)
    requested = []
    for index, value in enumerate(_list("outputs", document["outputs"])):
        field = f"outputs[{index}]"
        item = _object(field, value)
        flag = _flag(f"{field}.parameters.binary_data", _parameters(field, item).get("binary_data", default))
        requested.append(known.output(index, item.get("name"), binary=flag))
        interface.check_once(index, requested)
    return requested


def _parameters(field: str, item: dict[str, Any]) -> dict[str, Any]:
    parameters = _object(f"{field}.parameters", item.get("parameters") or {})
    interface.check_parameters(f"{field}.parameters", parameters)
    return parameters


def _flag(field: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidInput(field, got=show(value), expected="true or false")
    return value


def _object(field: str, value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise InvalidInput(field, got=show(value), expected="an object")
    return value


def _list(field: str, value: object) -> list[Any]:
    if not isinstance(value, list):
        raise InvalidInput(field, got=show(value), expected="a list of objects")
    return value
