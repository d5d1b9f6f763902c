"""The Open Inference Protocol, version 2, over REST: `POST /v2/models/{model}[/versions/{version}]/infer`.

    {"inputs": [{"name", "datatype", "shape", "data"}]}                              JSON tensors
    {"inputs": [{"name", "datatype", "shape", "parameters": {"binary_data_size"}}]}  and their bytes behind the JSON
    bytes alone, with Inference-Header-Content-Length: 0                             the one input of a model

Sources: Open Inference Protocol, "HTTP/REST"; Triton Inference Server, "Binary Tensor Data Extension".
"""

import math
from collections.abc import Generator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import orjson

from runtime.errors import InvalidInput, ScalezeroError
from runtime.http.messages import JSON, Answer, Request
from runtime.model.signature import Signature
from runtime.predictor import ReadyModel
from runtime.protocols import open_inference_binary as binary
from runtime.protocols.json import slices, writer
from runtime.protocols.json import tensors as json_tensors
from runtime.protocols.json.lists import show
from runtime.protocols.refusals import extra_headers
from runtime.status import TABLE, code_of
from runtime.tensors import STRING, Call, Prediction, Query, TensorSpec

NAME: Final = "open_inference"
_LENGTH: Final = b"inference-header-content-length"
_BINARY: Final = (b"content-type", b"application/octet-stream")
_MANY: Final = 5000  # numbers: as JSON about as much as may be written at once
_FLAT: Final = 1  # axes


class Parts(NamedTuple):
    """A parsed request. `document` is None for a raw one, whose `tensors` are the bytes of the one input."""

    document: object
    tensors: memoryview


class Wanted(NamedTuple):
    """An output that the caller wants: its place in the signature, and whether its answer is binary."""

    place: int
    binary: bool


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


def refuse(fault: ScalezeroError) -> Answer:
    """The protocol's form of an error."""
    return Answer(TABLE[code_of(fault)].http, orjson.dumps({"error": fault.message}), [JSON, *extra_headers(fault)])


def bind(parts: Parts, signature: Signature) -> Query:
    """The query of a parsed request. Raises `InvalidInput` naming the field, what came and what is allowed."""
    if parts.document is None:
        return _raw(parts.tensors, signature)
    document = _object("body", parts.document)
    request_id = document.get("id", "")
    if not isinstance(request_id, str):
        raise InvalidInput("id", got=show(request_id), expected="a string")
    wanted = _wanted(document, signature)
    return Query(_inputs(document, parts.tensors, signature), form=wanted, id=request_id)


def answer(query: Query, prediction: Prediction, signature: Signature) -> Answer:
    """The answer; it is binary where one of the outputs is."""
    wanted: Sequence[Wanted] = query.form  # type: ignore[assignment] # what `bind` has set
    outputs, blobs, large = [], [], False
    for index, as_bytes in wanted:
        spec, array = signature.outputs[index], prediction.outputs[index]
        output: dict[str, Any] = {"name": spec.name, "datatype": binary.datatype(spec), "shape": list(array.shape)}
        if as_bytes:
            blobs.append(binary.write(array))
            output["parameters"] = {"binary_data_size": len(blobs[-1])}
        else:
            output["data"] = json_tensors.plain(array.reshape(-1))
            large |= array.size > _MANY or (array.dtype == STRING and writer.size_hint(array) > writer.PIECE)
        outputs.append(output)
    document = {"model_name": prediction.model, "model_version": prediction.version, "outputs": outputs}
    if query.id:
        document["id"] = query.id
    if blobs:
        head = json_tensors.dump(document)
        return Answer(200, b"".join([head, *blobs]), [_BINARY, (_LENGTH, b"%d" % len(head))])
    return Answer(200, writer.dump(document) if large else json_tensors.dump(document))


def _call(request: Request, document: object, tensors: memoryview) -> Call:
    parameters = request.parameters
    return Call(parameters["model"], parameters.get("version"), Parts(document, tensors))


def _split(request: Request) -> tuple[memoryview | None, memoryview]:
    """The JSON of a body, None where there is none, and the bytes behind it."""
    body = memoryview(request.body)
    length = request.header(_LENGTH)
    if length is None:
        return body, body[:0]
    if not length.isdigit() or int(length) > len(body):
        field = "Inference-Header-Content-Length"
        raise InvalidInput(field, got=show(length.decode("latin-1")), expected=f"a number from 0 to {len(body)}")
    size = int(length)
    return (body[:size], body[size:]) if size else (None, body)


def _raw(data: memoryview, signature: Signature) -> Query:
    if len(signature.inputs) != 1:
        raise InvalidInput("body", got="bytes alone", expected=f"JSON, as the model has {len(signature.inputs)} inputs")
    spec = signature.inputs[0]
    shape = spec.shape
    if (
        binary.datatype(spec) in {None, "BYTES"}
        or shape is None
        or any(not isinstance(size, int) for size in shape[1:])
    ):
        raise InvalidInput("body", got="bytes alone", expected=f"JSON that states the shape of {spec.describe()}")
    sizes = [size if isinstance(size, int) else 1 for size in shape]
    if shape and not isinstance(shape[0], int):
        sizes[0] = len(data) // max(1, math.prod(sizes[1:]) * spec.dtype.itemsize)
    tensor = binary.read(f"inputs.{spec.name}", data, tuple(sizes), spec)
    return Query((tensor,), form=[_output(spec, index, as_bytes=True) for index, spec in enumerate(signature.outputs)])


def _inputs(document: dict[str, Any], data: memoryview, signature: Signature) -> list[np.ndarray]:
    """The tensors in the signature's order; their bytes come in the order of the request."""
    specs = {spec.name: spec for spec in signature.inputs}
    found: dict[str, np.ndarray] = {}
    for index, value in enumerate(_list("inputs", document.get("inputs"))):
        item = _object(f"inputs[{index}]", value)
        spec = specs[_name(f"inputs[{index}].name", item, specs)]
        field = f"inputs.{spec.name}"
        if spec.name in found:
            raise InvalidInput(field, got="the input twice", expected="each input once")
        size = _size(field, item, len(data))
        found[spec.name] = _tensor(field, item, None if size is None else data[:size], spec)
        data = data[size or 0 :]
    if len(data):
        raise InvalidInput("body", got=f"{len(data)} bytes too many", expected="the bytes that binary_data_size states")
    missing = next((spec for spec in signature.inputs if spec.name not in found), None)
    if missing is not None:
        raise InvalidInput(f"inputs.{missing.name}", got="nothing", expected=missing.describe())
    return [found[spec.name] for spec in signature.inputs]


def _tensor(field: str, item: dict[str, Any], data: memoryview | None, spec: TensorSpec) -> np.ndarray:
    expected = binary.datatype(spec)
    if expected is None:
        raise InvalidInput(field, got="a tensor", expected=f"{spec.describe()}, which only the predict API takes")
    if item.get("datatype") != expected:
        raise InvalidInput(f"{field}.datatype", got=show(item.get("datatype")), expected=expected)
    shape = _shape(f"{field}.shape", item.get("shape"))
    if data is not None:
        return binary.read(field, data, shape, spec)
    if "data" not in item or expected == "BF16":
        raise InvalidInput(
            f"{field}.data", got="no bytes", expected="binary_data_size" if expected == "BF16" else "data"
        )
    array = json_tensors.tensor(f"{field}.data", item["data"], spec._replace(shape=None))
    if array.shape != shape and (array.ndim != _FLAT or array.size != math.prod(shape)):
        allowed = f"{math.prod(shape)} elements, flat or of shape {list(shape)}"
        raise InvalidInput(f"{field}.data", got=f"shape {list(array.shape)}", expected=allowed)
    return array.reshape(shape)


def _size(field: str, item: dict[str, Any], available: int) -> int | None:
    """The number of bytes that an input has behind the JSON; None: its data is in the JSON."""
    parameters = _object(f"{field}.parameters", item.get("parameters") or {})
    size = parameters.get("binary_data_size")
    if size is None:
        return None
    if "data" in item:
        raise InvalidInput(field, got="both data and binary_data_size", expected="one of them")
    if type(size) is not int or not 0 <= size <= available:
        raise InvalidInput(f"{field}.parameters.binary_data_size", got=show(size), expected=f"0 to {available} bytes")
    return size


def _shape(field: str, value: object) -> tuple[int, ...]:
    sizes = value.tolist() if isinstance(value, np.ndarray) else value
    if not isinstance(sizes, list) or any(type(size) is not int or size < 0 for size in sizes):
        raise InvalidInput(field, got=show(sizes), expected="a list of whole numbers from 0")
    return tuple(sizes)


def _wanted(document: dict[str, Any], signature: Signature) -> list[Wanted]:
    """The outputs that the caller names, in its order, or all of them."""
    parameters = _object("parameters", document.get("parameters") or {})
    default = _flag("parameters.binary_data_output", parameters.get("binary_data_output", False))
    places = {spec.name: index for index, spec in enumerate(signature.outputs)}
    if not document.get("outputs"):
        return [_output(spec, index, as_bytes=default) for index, spec in enumerate(signature.outputs)]
    wanted = []
    for number, value in enumerate(_list("outputs", document["outputs"])):
        field = f"outputs[{number}]"
        item = _object(field, value)
        index = places[_name(f"{field}.name", item, places)]
        flag = _object(f"{field}.parameters", item.get("parameters") or {}).get("binary_data", default)
        as_bytes = _flag(f"{field}.parameters.binary_data", flag)
        wanted.append(_output(signature.outputs[index], index, as_bytes=as_bytes))
    return wanted


def _output(spec: TensorSpec, index: int, *, as_bytes: bool) -> Wanted:
    datatype = binary.datatype(spec)
    if datatype is None:
        raise InvalidInput(f"outputs.{spec.name}", got=spec.describe(), expected="a tensor; use the predict API")
    if datatype == "BF16" and not as_bytes:
        raise InvalidInput(f"outputs.{spec.name}", got="BF16 as JSON", expected='"binary_data": true')
    return Wanted(index, as_bytes)


def _name(field: str, item: dict[str, Any], known: dict[str, Any]) -> str:
    name = item.get("name")
    if not isinstance(name, str) or name not in known:
        raise InvalidInput(field, got=show(name), expected=f"one of {', '.join(list(known)[:20])}")
    return name


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
