"""The Open Inference Protocol, version 2, over REST: `POST /v2/models/{model}[/versions/{version}]/infer`.

    {"inputs": [{"name", "datatype", "shape", "data"}]}                              JSON tensors
    {"inputs": [{"name", "datatype", "shape", "parameters": {"binary_data_size"}}]}  and their bytes behind the JSON
    bytes alone, with Inference-Header-Content-Length: 0                             the one input of a model

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
from runtime.protocols.open_inference.interface import Interface, Tensor, Wanted
from runtime.tensors import STRING, Call, Prediction, Query

_HEADER: Final = "Inference-Header-Content-Length"
_LENGTH: Final = _HEADER.lower().encode()
_BINARY: Final = (b"content-type", b"application/octet-stream")
_MANY: Final = 5000  # numbers: as JSON about as much as may be written at once
_DIGITS: Final = 20  # of a length; Python refuses to read thousands of them
_FLAT: Final = 1  # axes


class Parts(NamedTuple):
    """A parsed request. `document` is None for a raw one, whose `tensors` are the bytes of the one input."""

    document: object
    tensors: memoryview


class OpenInference:
    """The translator of the Open Inference Protocol over REST."""

    name = NAME

    def decode(self, request: Request) -> Call:
        """Read a small body. Raises `InvalidInput`."""
        head, tensors = _split(request)
        return _call(request, None if head is None else json_tensors.load(bytes(head)), tensors)

    def decode_slices(self, request: Request) -> Generator[None, None, Call]:
        """Read a body of any size. Raises `InvalidInput`."""
        head, tensors = _split(request)
        document = None
        if head is not None:
            document = yield from slices.parse(head)
        return _call(request, document, tensors)

    def bind(self, call: Call, model: ReadyModel) -> list[Query]:
        """One query. Raises `InvalidInput`."""
        return [bind(call.parts, model.signature)]

    def encode(
        self, queries: Sequence[Query], predictions: Sequence[Prediction], model: ReadyModel, *, latency: float
    ) -> Answer:
        """The answer, in pieces where its JSON is large; the protocol has no place for `latency`."""
        del latency
        return answer(queries[0], predictions[0], model.signature)


def bind(parts: Parts, signature: Signature) -> Query:
    """The query of a parsed request. Raises `InvalidInput` naming the field, what came and what is allowed."""
    known = interface.of(signature)
    if parts.document is None:
        return Query((_raw(parts.tensors, known),), form=known.all_outputs(binary=True))
    document = _object("body", parts.document)
    request_id = document.get("id", "")
    if not isinstance(request_id, str):
        raise InvalidInput("id", got=show(request_id), expected="a string")
    wanted = _wanted(document, known)
    return Query(_inputs(document, parts.tensors, known), form=wanted, id=request_id)


def answer(query: Query, prediction: Prediction, signature: Signature) -> Answer:
    """The answer; it is binary where one of the outputs is."""
    wanted: Sequence[Wanted] = query.form  # type: ignore[assignment] # what `bind` has set
    outputs: list[dict[str, Any]] = []
    blobs: list[Buffer] = []
    large = False
    known = interface.of(signature).places
    for place, as_bytes in wanted:
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
    """The JSON of a body, None where there is none, and the bytes behind it."""
    body = memoryview(request.body)
    length = request.header(_LENGTH)
    if length is None:
        return body, body[:0]
    if not length.isdigit() or len(length) > _DIGITS or int(length) > len(body):
        raise InvalidInput(_HEADER, got=show(length.decode("latin-1")), expected=f"a number from 0 to {len(body)}")
    size = int(length)
    return (body[:size], body[size:]) if size else (None, body)


def _raw(data: memoryview, known: Interface) -> np.ndarray:
    """The one input of a model whose shape the number of bytes tells. Raises `InvalidInput`."""
    if len(known.inputs) != 1:
        raise InvalidInput("body", got="bytes alone", expected=f"JSON, as the model has {len(known.inputs)} inputs")
    [tensor] = known.inputs.values()
    shape = tensor.spec.shape
    dynamic = () if shape is None else tuple(size for size in shape[1:] if not isinstance(size, int))
    if tensor.datatype in {None, "BYTES"} or shape is None or dynamic:
        expected = f"JSON that states the shape of {tensor.spec.describe()}"
        raise InvalidInput("body", got="bytes alone", expected=expected)
    sizes = [size if isinstance(size, int) else 1 for size in shape]
    if shape and not isinstance(shape[0], int):
        sizes[0] = len(data) // max(1, interface.elements(sizes[1:]) * tensor.spec.dtype.itemsize)
    return datatypes.read(f"inputs.{tensor.spec.name}", data, tuple(sizes), tensor.spec)


def _inputs(document: dict[str, Any], data: memoryview, known: Interface) -> list[np.ndarray]:
    """The tensors in the signature's order; their bytes come in the order of the request. Raises `InvalidInput`."""
    found: dict[str, np.ndarray] = {}
    for index, value in enumerate(_list("inputs", document.get("inputs"))):
        item = _object(f"inputs[{index}]", value)
        tensor = known.input(index, item.get("name"))
        name = tensor.spec.name
        if name in found:
            raise InvalidInput(f"inputs.{name}", got="the input twice", expected="each input once")
        size = _size(f"inputs.{name}", item, len(data))
        found[name] = _tensor(item, None if size is None else data[:size], tensor, known)
        data = data[size or 0 :]
    if len(data):
        raise InvalidInput("body", got=f"{len(data)} bytes too many", expected="the bytes that binary_data_size states")
    return known.in_order(found)


def _tensor(item: dict[str, Any], data: memoryview | None, tensor: Tensor, known: Interface) -> np.ndarray:
    field = f"inputs.{tensor.spec.name}"
    known.check_datatype(tensor, item.get("datatype"))
    shape = _shape(f"{field}.shape", item.get("shape"))
    known.check_shape(tensor, shape)
    if data is not None:
        return datatypes.read(field, data, shape, tensor.spec)
    if "data" not in item or tensor.datatype == "BF16":
        expected = "binary_data_size, as BF16 has no form in JSON" if tensor.datatype == "BF16" else "data"
        raise InvalidInput(f"{field}.data", got="no bytes", expected=expected)
    return _from_json(f"{field}.data", item["data"], shape, tensor)


def _from_json(field: str, data: object, shape: tuple[int, ...], tensor: Tensor) -> np.ndarray:
    """The tensor of a list that is flat or nested. Raises `InvalidInput`."""
    array = json_tensors.tensor(field, data, tensor.spec._replace(shape=None, containers=()))
    if array.shape != shape and (array.ndim != _FLAT or array.size != interface.elements(shape)):
        allowed = f"{interface.elements(shape)} elements, flat or of shape {list(shape)}"
        raise InvalidInput(field, got=f"shape {list(array.shape)}", expected=allowed)
    return datatypes.shaped(field.removesuffix(".data"), array, shape)


def _size(field: str, item: dict[str, Any], available: int) -> int | None:
    """The number of bytes that an input has behind the JSON; None: its data is in the JSON."""
    parameters = _parameters(field, item)
    size = parameters.get("binary_data_size")
    if size is None:
        return None
    if "data" in item:
        raise InvalidInput(field, got="both data and binary_data_size", expected="one of them")
    if type(size) is not int or not 0 <= size <= available:
        expected = f"0 to {available}, the bytes that are left behind the JSON; {_HEADER} states where the JSON ends"
        raise InvalidInput(f"{field}.parameters.binary_data_size", got=show(size), expected=expected)
    return size


def _shape(field: str, value: object) -> tuple[int, ...]:
    if isinstance(value, (list, np.ndarray)) and len(value) > interface.AXES:
        raise InvalidInput(field, got=f"{len(value)} axes", expected=f"at most {interface.AXES}")
    sizes = value.tolist() if isinstance(value, np.ndarray) else value
    if not isinstance(sizes, list) or any(type(size) is not int or size < 0 for size in sizes):
        raise InvalidInput(field, got=show(sizes), expected="a list of whole numbers from 0")
    return tuple(sizes)


def _wanted(document: dict[str, Any], known: Interface) -> Sequence[Wanted]:
    """The outputs that the caller names, in its order, or all of them. Raises `InvalidInput`."""
    parameters = _object("parameters", document.get("parameters") or {})
    default = _flag("parameters.binary_data_output", parameters.get("binary_data_output", False))
    if not document.get("outputs"):
        return known.all_outputs(binary=default)
    wanted = []
    for index, value in enumerate(_list("outputs", document["outputs"])):
        field = f"outputs[{index}]"
        item = _object(field, value)
        flag = _flag(f"{field}.parameters.binary_data", _parameters(field, item).get("binary_data", default))
        wanted.append(known.output(index, item.get("name"), binary=flag))
        interface.check_once(index, wanted)
    return wanted


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
