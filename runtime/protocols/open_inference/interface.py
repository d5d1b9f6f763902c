"""A model's signature in the protocol's terms, to check requests over REST and over gRPC.

An interface is made once for each signature. Errors name datatypes and fields as the protocol does: `inputs.x.shape:
got [1, 3]; expected FP32[batch, 4]`.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np

from runtime.errors import InvalidInput
from runtime.model.signature import Signature, fits
from runtime.protocols.json.lists import show
from runtime.protocols.open_inference.datatypes import datatype
from runtime.tensors import TensorSpec, as_array

_SHOWN_NAMES: Final = 20  # in an error message
AXES: Final = 64  # NumPy's limit
_MAX_SIGNATURES: Final = 64  # in the cache
_NO_SHARING: Final = "this server shares no memory with its clients; send the tensor in the request"
_REFUSED: Final = {
    "shared_memory_region": _NO_SHARING,
    "shared_memory_offset": _NO_SHARING,
    "shared_memory_byte_size": _NO_SHARING,
    "classification": "this server does not classify outputs; select the largest elements in the client",
}


class ProtocolSpec(TensorSpec):
    """A TensorSpec that describes its element type with the protocol's name, if there is one."""

    __slots__ = ()

    @property
    def datatype(self) -> str:
        """The name of the element type, such as `FP32`."""
        return datatype(self) or super().datatype


class Tensor(NamedTuple):
    """An input or an output."""

    place: int  # its index in the signature
    spec: ProtocolSpec
    datatype: str | None  # None: the protocol has no datatype for it
    row: tuple[int, ...] | None  # the shape after the first axis, if that axis is dynamic and the others are fixed


class RequestedOutput(NamedTuple):
    """A requested output: its index in the signature, and whether it is answered as binary data."""

    place: int
    binary: bool


class Interface:
    """The inputs and outputs of a model by name."""

    __slots__ = ("_absent", "_all", "_first", "inputs", "outputs", "places", "signature")

    def __init__(self, signature: Signature) -> None:
        self.signature = signature
        self.inputs = _by_name(signature.inputs)
        self.outputs = _by_name(signature.outputs)
        self.places = tuple(self.outputs.values())  # the outputs in the signature's order
        self._first = 1 if signature.fixed_batch else 0  # if the batch axis is fixed, the signature checks the rows
        self._absent = as_array(None)
        self._all: dict[bool, Sequence[RequestedOutput]] = {}  # all outputs, by `binary`

    def input(self, index: int, name: object) -> Tensor:
        """Return the input of that name; `index` is its index in the request.

        Raises `InvalidInput` for an unknown name, and for an input without a datatype.
        """
        found = _named("inputs", index, name, self.inputs)
        if found.datatype is None:
            expected = f"{found.spec.describe()}, which this protocol does not support; use the predict API"
            raise InvalidInput(f"inputs.{found.spec.name}", got="a tensor", expected=expected)
        return found

    def check_datatype(self, tensor: Tensor, received: object) -> None:
        """Raise `InvalidInput` if the request has another datatype than the input."""
        if received != tensor.datatype:
            field = f"inputs.{tensor.spec.name}.datatype"
            raise InvalidInput(field, got=show(received), expected=tensor.datatype or "")

    def check_shape(self, tensor: Tensor, shape: tuple[int, ...]) -> None:
        """Raise `InvalidInput` if the shape does not fit the input."""
        if shape and shape[1:] == tensor.row and shape[0] >= 0:  # a fast path for most inputs
            return
        field = f"inputs.{tensor.spec.name}.shape"
        if len(shape) > AXES:
            raise InvalidInput(field, got=f"{len(shape)} axes", expected=f"at most {AXES}")
        if not fits(tensor.spec, shape, self._first) or (shape and min(shape) < 0):
            raise InvalidInput(field, got=str(list(shape)), expected=tensor.spec.describe())

    def in_order(self, found: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """Return the tensors in the signature's order; an optional one may be absent. Raises `InvalidInput`."""
        tensors = []
        for name, (_, spec, _, _) in self.inputs.items():
            tensor = found.get(name)
            if tensor is None:
                if spec.kind != "optional":
                    raise InvalidInput(f"inputs.{name}", got="nothing", expected=spec.describe())
                tensor = self._absent
            tensors.append(tensor)
        return tensors

    def output(self, index: int, name: object, *, binary: bool) -> RequestedOutput:
        """Return the output of that name; `index` is its index in the request. Raises `InvalidInput`."""
        found = _named("outputs", index, name, self.outputs)
        self._check_output(found, binary=binary)
        return RequestedOutput(found.place, binary)

    def all_outputs(self, *, binary: bool) -> Sequence[RequestedOutput]:
        """Return all outputs. Raises `InvalidInput` if the protocol does not support one of them."""
        found = self._all.get(binary)
        if found is None:
            for each in self.outputs.values():
                self._check_output(each, binary=binary)
            found = self._all[binary] = [RequestedOutput(place, binary) for place in range(len(self.outputs))]
        return found

    def _check_output(self, tensor: Tensor, *, binary: bool) -> None:
        field = f"outputs.{tensor.spec.name}"
        if tensor.datatype is None:
            others = _names(name for name, each in self.outputs.items() if each.datatype)
            expected = f"a tensor; request only {others}" if others else "a tensor; use the predict API for this model"
            raise InvalidInput(field, got=tensor.spec.describe(), expected=expected)
        if tensor.datatype == "BF16" and not binary:
            raise InvalidInput(field, got="BF16 as JSON", expected='"binary_data": true, as JSON has no form for BF16')


def check_once(index: int, requested: Sequence[RequestedOutput]) -> None:
    """Raise `InvalidInput` for a repeated output: otherwise a small request could have an answer of any size."""
    place = requested[-1].place
    if any(each.place == place for each in requested[:-1]):
        raise InvalidInput(f"outputs[{index}].name", got="the same output twice", expected="each output once")


def check_parameters(field: str, parameters: Iterable[str]) -> None:
    """Raise `InvalidInput` for parameters that change a tensor or its place. All other parameters have no effect."""
    for name in parameters:
        if reason := _REFUSED.get(name):
            raise InvalidInput(f"{field}.{name}", got="a value", expected=f"none: {reason}")


def elements(shape: Sequence[int]) -> int:
    """Return the number of elements of a tensor of that shape."""
    return math.prod(shape)


def of(signature: Signature) -> Interface:
    """Return the interface of that signature, from the cache if possible."""
    known = _interfaces.get(id(signature))  # an entry references its signature, so that no other one gets the same id
    if known is None:
        if len(_interfaces) >= _MAX_SIGNATURES:
            _interfaces.clear()
        known = _interfaces[id(signature)] = Interface(signature)
    return known


_interfaces: Final[dict[int, Interface]] = {}


def _by_name(specs: Iterable[TensorSpec]) -> dict[str, Tensor]:
    return {
        spec.name: Tensor(place, ProtocolSpec(*spec), datatype(spec), _row(spec)) for place, spec in enumerate(specs)
    }


def _row(spec: TensorSpec) -> tuple[int, ...] | None:
    return spec.row_shape if spec.shape and not isinstance(spec.shape[0], int) else None


def _named(field: str, index: int, name: object, known: Mapping[str, Tensor]) -> Tensor:
    found = known.get(name) if isinstance(name, str) else None
    if found is None:
        raise InvalidInput(f"{field}[{index}].name", got=show(name), expected=f"one of {_names(known)}")
    return found


def _names(names: Iterable[str]) -> str:
    return ", ".join(list(names)[:_SHOWN_NAMES])
