"""One tensor as the bytes of an event's data: little endian, row-major, a Boolean as one byte. Pure.

Three extension attributes describe it. All can be omitted if the model has one input whose rows have a fixed shape:

    tensorname       the name of the input
    tensordatatype   its element type: `FP32` as the Open Inference Protocol names it, or `float32`
    tensorshape      its sizes, such as `2,30`; the first axis of a single row can be omitted
"""

import math
import re
from typing import Final

import numpy as np

from runtime.errors import BadEvent, InvalidInput
from runtime.model.signature import Signature
from runtime.protocols import datatypes, input_forms, row_forms
from runtime.protocols.cloudevents.event import Event
from runtime.protocols.json.lists import show
from runtime.tensors import STRING, Query, TensorSpec, as_array

NAME, DATATYPE, SHAPE = "tensorname", "tensordatatype", "tensorshape"
TYPES: Final = (b"application/octet-stream", b"binary/octet-stream")  # the second is S3's default

_AXES: Final = 64  # NumPy's limit
_SHOWN: Final = 80  # characters of a value in a message
_SIZES: Final = re.compile(r"\d{1,12}(,\d{1,12})*", re.ASCII)
_NAMES: Final = {**datatypes.NAMES, "string": "BYTES"}


def is_tensor(event: Event) -> bool:
    """Return whether the data is a tensor: its type is one of bytes, or an attribute describes a tensor."""
    if SHAPE in event.attributes or DATATYPE in event.attributes:
        return True
    return (event.content_type or "").partition(";")[0].strip().lower().encode(errors="replace") in TYPES


def bind(event: Event, signature: Signature) -> Query:
    """Return the query of the only tensor. Raises `BadEvent` for an attribute, and `InvalidInput` for the bytes."""
    spec = _spec(event.attributes.get(NAME), signature)
    field = f"inputs.{spec.name}"
    if spec.dtype == STRING:
        raise InvalidInput(field, got="bytes", expected=f"{spec.describe()} as JSON")
    check_datatype(DATATYPE, event.attributes.get(DATATYPE, spec.dtype.name), spec)
    sizes = event.attributes.get(SHAPE)
    if sizes is None:
        array, rows = _by_rows(field, event.data, spec)
    else:
        array, rows = row_forms.in_rows(field, _by_shape(field, event.data, _sizes(sizes), spec), spec)
    arrays = [array if each is spec else as_array(None) for each in signature.inputs]
    form = input_forms.Form(one_row=row_forms.one_row((rows,), inputs=len(arrays)), by_name=False)
    return Query(arrays, form=form)


def check_datatype(field: str, datatype: object, spec: TensorSpec) -> None:
    """Check that a tensor has the element type of the input. Raises `BadEvent`."""
    name = spec._replace(containers=()).datatype
    names = [name, _NAMES[name]] if name in _NAMES else [name]
    if datatype not in names:
        raise BadEvent(field, got=show(datatype), expected=f"{' or '.join(names)}, as {spec.name} is {spec.describe()}")


def shape_of(field: str, value: object) -> tuple[int, ...]:
    """Return the shape in a JSON list. Raises `BadEvent`."""
    sizes = value.tolist() if isinstance(value, np.ndarray) else value
    if not isinstance(sizes, list) or len(sizes) > _AXES or any(type(each) is not int or each < 0 for each in sizes):
        raise BadEvent(field, got=show(value), expected="a list of whole numbers from 0")
    return tuple(sizes)


def shaped(field: str, array: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the array in a shape of the same number of elements. Raises `InvalidInput` if it has another number."""
    if array.size == math.prod(shape):
        try:
            return array.reshape(shape)
        except ValueError:  # a product beyond NumPy's integers, with a zero among the sizes
            pass
    raise InvalidInput(field, got=f"{array.size} elements", expected=f"as many as shape {list(shape)} has")


def _spec(name: str | None, signature: Signature) -> TensorSpec:
    required = [spec for spec in signature.inputs if spec.kind != "optional"]
    named = [spec for spec in signature.inputs if spec.name == name] if name is not None else required
    if name is not None and not named:
        names = ", ".join(spec.name for spec in signature.inputs)
        raise BadEvent(NAME, got=repr(name[:_SHOWN]), expected=f"one of {names}")
    if len(named) != 1 or any(spec is not named[0] for spec in required):
        names = ", ".join(spec.name for spec in required) or "none"
        raise InvalidInput("data", got="the bytes of one tensor", expected=f"JSON with all inputs: {names}")
    if named[0].containers not in ((), ("optional",)):
        raise InvalidInput("data", got="the bytes of a tensor", expected=f"{named[0].describe()} as JSON")
    return named[0]


def _sizes(text: str) -> tuple[int, ...]:
    if text and not _SIZES.fullmatch(text):
        raise BadEvent(SHAPE, got=repr(text[:_SHOWN]), expected="sizes with commas between them, such as 2,30")
    shape = tuple(map(int, text.split(","))) if text else ()
    if len(shape) > _AXES:
        raise BadEvent(SHAPE, got=f"{len(shape)} axes", expected=f"at most {_AXES}")
    return shape


def _by_shape(field: str, data: bytes, shape: tuple[int, ...], spec: TensorSpec) -> np.ndarray:
    size = math.prod(shape) * spec.dtype.itemsize
    if len(data) != size:
        expected = f"{size} bytes for shape {list(shape)} of {spec.datatype}"
        raise InvalidInput(field, got=f"{len(data)} bytes", expected=expected)
    return shaped(field, _flat(data, spec), shape)


def _by_rows(field: str, data: bytes, spec: TensorSpec) -> tuple[np.ndarray, row_forms.Rows]:
    """Return as many rows as the bytes have."""
    row = spec.row_shape if spec.holds_rows else spec.shape
    if row is None or not all(isinstance(size, int) for size in row):
        expected = f"the attribute {SHAPE}, as bytes do not state the shape of {spec.describe()}"
        raise InvalidInput(field, got=f"{len(data)} bytes", expected=expected)
    size = math.prod(row) * spec.dtype.itemsize  # type: ignore[arg-type] # checked above
    count, rest = divmod(len(data), size) if size else (0, 1)
    if not count or rest or (count > 1 and not spec.holds_rows):
        allowed = f"a multiple of {size} bytes" if spec.holds_rows else f"{size} bytes"
        raise InvalidInput(field, got=f"{len(data)} bytes", expected=f"{allowed} for {spec.describe()}")
    array = _flat(data, spec)
    if not spec.holds_rows:
        return array.reshape(row), None  # type: ignore[arg-type] # checked above
    return array.reshape(-1, *row), row_forms.MANY


def _flat(data: bytes, spec: TensorSpec) -> np.ndarray:
    if spec.dtype == np.bool_:
        flags: np.ndarray = np.frombuffer(data, np.uint8) != 0  # any byte but 0 is true
        return flags
    return np.require(np.frombuffer(data, spec.dtype), requirements="A")
