"""ml.v1.InferenceService, as protos/ml_v1.proto defines it.

    Predict        numbers in, numbers out: `inputs` are consecutive rows, of the length that the model's input states
    BatchPredict   several such requests in one message; each item of the answer is a response or an error

The model must have one input, of numbers. `outputs` contains all outputs of numbers, in the model's order, each row by
row. These messages cannot carry strings, sequences and maps: such outputs are omitted.
"""

import math
import struct
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from runtime.errors import InvalidInput, PayloadTooLarge, ScalezeroError
from runtime.http.messages import Buffer
from runtime.model.signature import Signature
from runtime.predictor import ReadyModel
from runtime.protobuf import MORE, delimited, head, varint_at
from runtime.protocols import outline
from runtime.status import code_of
from runtime.tensors import STRING, Call, Prediction, Query, TensorSpec

if TYPE_CHECKING:
    from types import ModuleType

NAME: Final = "ml.v1"
SERVICE: Final = "ml.v1.InferenceService"
_FLOAT: Final = np.dtype("<f4")  # as protobuf packs a float
_INPUTS: Final = 2  # of PredictRequest
_OUTPUTS: Final = 1  # of PredictResponse
_REQUESTS: Final = 1  # of BatchPredictRequest
_ITEMS: Final = 1  # of BatchPredictResponse
_RESPONSE, _ERROR = 1, 2  # of BatchPredictItem
_NAME_TAG: Final = 0x0A  # of model_name, a field of bytes
_NUMBERS_TAG: Final = b"\x12"  # of the packed inputs
_MIN_BYTES: Final = 4  # of a message: two tags and two lengths
_FEW: Final = 50  # numbers: below, an iteration is faster than NumPy's conversion of a list
_ALTERNATIVE: Final = "use the predict API, which supports every model"


class Predict:
    """The messages of the method Predict."""

    name = NAME

    def decode(self, message: Buffer) -> Call:
        """Parse a PredictRequest; the numbers of a large one are not copied. Raises `InvalidInput`."""
        if len(message) <= outline.SMALL:
            return _canonical(message) or _call(_parsed("PredictRequest", message))
        rest, spans = outline.outline(memoryview(message), {_INPUTS})
        request = _parsed("PredictRequest", rest)
        return Call(request.model_name, None, _packed(spans.get(_INPUTS, []), request.inputs))

    def bind(self, call: Call, model: ReadyModel) -> list[Query]:
        """Check the numbers, and return one query. Raises `InvalidInput`."""
        return [Query((_tensor(call.parts, model.signature),))]

    def encode(
        self,
        queries: Sequence[Query],  # noqa: ARG002 - the signature that every translator has
        predictions: Sequence[Prediction],
        model: ReadyModel,
        *,
        latency: float,
    ) -> list[bytes]:
        """Return a PredictResponse in pieces; `latency` is in seconds.

        This function writes the wire format itself: protobuf would convert every number.
        """
        numbers = [
            np.ascontiguousarray(output, _FLOAT).tobytes()
            for output, spec in zip(predictions[0].outputs, model.signature.outputs, strict=True)
            if _is_numbers(spec)
        ]
        milliseconds = b"\x15" + struct.pack("<f", latency * 1e3)  # field 2, 32 bits
        size = sum(map(len, numbers))
        return [head(_OUTPUTS, size), *numbers, milliseconds] if size else [milliseconds]


class BatchPredict(Predict):
    """The messages of the method BatchPredict: each item is a separate Predict."""

    def decode(self, message: Buffer, *, most: int) -> list[Call]:  # type: ignore[override] # several calls
        """Parse a BatchPredictRequest of at most `most` items. Raises `InvalidInput` and `PayloadTooLarge`."""
        rest, spans = outline.outline(memoryview(message), {_REQUESTS}, limit=most + outline.FEW)
        _parsed("BatchPredictRequest", rest)
        requests = spans.get(_REQUESTS, [])
        if len(requests) > most:
            raise PayloadTooLarge("requests", limit=most, unit="requests", got=len(requests))
        calls = []
        for request in requests:
            call = super().decode(request)
            call.size = len(request)
            calls.append(call)
        return calls

    def join(self, items: Sequence[Sequence[bytes] | ScalezeroError]) -> list[bytes]:
        """Return a BatchPredictResponse of PredictResponses and errors, in pieces."""
        pieces: list[bytes] = []
        for item in items:
            if isinstance(item, ScalezeroError):
                message = item.message.encode(errors="backslashreplace")
                fault = delimited(1, code_of(item).encode()) + delimited(2, message)
                pieces.append(delimited(_ITEMS, delimited(_ERROR, fault)))
            else:
                size = sum(map(len, item))
                inner = head(_RESPONSE, size)
                pieces += (head(_ITEMS, len(inner) + size) + inner, *item)
        return pieces


@cache
def _messages() -> "ModuleType":
    """Return the generated module; the first call imports it."""
    from runtime.protocols.protos import ml_v1_pb2

    return ml_v1_pb2


@cache
def _decode_error() -> type[Exception]:
    from google.protobuf.message import DecodeError

    return DecodeError


def _parsed(kind: str, message: Buffer) -> Any:  # noqa: ANN401 - a class of the generated module
    try:
        return getattr(_messages(), kind).FromString(message)
    except _decode_error() as error:
        raise InvalidInput("message", got=f"invalid protobuf ({error})", expected=f"an {NAME}.{kind}") from error


def _packed(spans: Sequence[memoryview], unpacked: Sequence[float]) -> np.ndarray:
    """Return the numbers of a large message, `float32`. Raises `InvalidInput`."""
    if unpacked:
        raise InvalidInput("inputs", got="both packed and unpacked numbers", expected="packed numbers only")
    if any(len(span) % _FLOAT.itemsize for span in spans):
        raise InvalidInput("inputs", got="an incomplete number", expected="packed floats of 4 bytes each")
    parts = [np.require(np.frombuffer(span, _FLOAT), requirements="A") for span in spans]
    return parts[0] if len(parts) == 1 else np.concatenate([np.empty(0, _FLOAT), *parts])


def _canonical(message: Buffer) -> Call | None:
    """Parse a message in protobuf's usual form: a name of up to 127 bytes, then the packed numbers.

    Return None for any other message; then protobuf must parse it.
    """
    if len(message) < _MIN_BYTES or message[0] != _NAME_TAG or message[1] >= MORE:
        return None
    end = 2 + message[1]
    if message[end : end + 1] != _NUMBERS_TAG:
        return None
    try:
        size, start = varint_at(message, end + 1, len(message))
        name = str(message[2:end], "utf-8")
    except ValueError:
        return None
    if start + size != len(message) or size % _FLOAT.itemsize:
        return None
    return Call(name, None, np.frombuffer(message, _FLOAT, offset=start).copy())  # a copy is aligned


def _call(request: Any) -> Call:  # noqa: ANN401 - as above
    inputs = request.inputs
    few = len(inputs) < _FEW
    numbers = np.fromiter(inputs, np.float32, len(inputs)) if few else np.array(inputs, np.float32)
    return Call(request.model_name, None, numbers)


def _tensor(numbers: np.ndarray, signature: Signature) -> np.ndarray:
    """Return the numbers as the model's only input. Raises `InvalidInput`."""
    plain = signature.plain
    if (
        plain is not None and plain[0] == numbers.dtype and _is_numbers(signature.outputs[0])
    ):  # a fast path for most models
        width = math.prod(plain[1])
        if width and numbers.size and not numbers.size % width:
            return numbers.reshape(-1, *plain[1])
    if len(signature.inputs) != 1 or not any(map(_is_numbers, signature.outputs)):
        raise InvalidInput("model_name", got=_described(signature), expected=f"a model of numbers; {_ALTERNATIVE}")
    spec = signature.inputs[0]
    if not _is_numbers(spec):
        raise InvalidInput("inputs", got="numbers", expected=f"{spec.describe()}; {_ALTERNATIVE}")
    if not numbers.size:
        raise InvalidInput("inputs", got="no numbers", expected=_expected(spec))
    return _cast(_shaped(numbers, spec), spec)


def _shaped(numbers: np.ndarray, spec: TensorSpec) -> np.ndarray:
    """Return the numbers in the input's shape; the count of numbers gives one unknown size. Raises `InvalidInput`."""
    shape = spec.shape
    if shape is None:
        return numbers  # the run of the model checks the shape
    row = spec.row_shape
    sizes = (-1, *row) if spec.holds_rows and row is not None else _one_unknown(spec)
    width = math.prod(size for size in sizes if size != -1)
    count = numbers.size
    if width < 1 or count % width or (-1 not in sizes and count != width):
        raise InvalidInput("inputs", got=f"{count} numbers", expected=_expected(spec))
    return numbers.reshape(sizes)


def _one_unknown(spec: TensorSpec) -> tuple[int, ...]:
    """Return the shape of one row, or of an input without rows. Raises `InvalidInput` if several sizes are unknown."""
    shape = spec.shape or ()
    sizes = tuple(size if isinstance(size, int) else -1 for size in shape)
    if spec.holds_rows:
        sizes = (1, *sizes[1:])
    if sizes.count(-1) > 1:
        got = f"a model of {spec.describe()}, with several unknown sizes"
        raise InvalidInput("model_name", got=got, expected=f"a model with at most one unknown size; {_ALTERNATIVE}")
    return sizes


def _cast(array: np.ndarray, spec: TensorSpec) -> np.ndarray:
    """Return the array in the model's element type. Raises `InvalidInput` if a number is not exact as an integer."""
    if array.dtype == spec.dtype:
        return array
    if spec.dtype.kind not in "iub":
        return array.astype(spec.dtype)
    with np.errstate(invalid="ignore"):  # the comparison below finds numbers that do not fit
        cast = array.astype(spec.dtype)
    if not np.array_equal(cast.astype(np.float64), array.astype(np.float64)):
        raise InvalidInput("inputs", got="numbers with fractions or out of range", expected=spec.describe())
    return cast


def _is_numbers(spec: TensorSpec) -> bool:
    return not spec.containers and spec.dtype != STRING and spec.dtype.kind != "c"


def _expected(spec: TensorSpec) -> str:
    row = spec.row_shape
    if spec.holds_rows and row is not None:
        return f"a multiple of {math.prod(row)}: consecutive rows of {spec.describe()}"
    return f"the elements of {spec.describe()}"


def _described(signature: Signature) -> str:
    inputs = ", ".join(f"{spec.name}: {spec.describe()}" for spec in signature.inputs)
    outputs = ", ".join(f"{spec.name}: {spec.describe()}" for spec in signature.outputs)
    return f"a model of inputs ({inputs}) and outputs ({outputs})"
