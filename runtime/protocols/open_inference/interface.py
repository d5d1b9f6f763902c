"""A model's signature in the protocol's words: what a request is held against, over REST and over gRPC alike.

It is made once for each signature. Errors name datatypes and fields as the protocol does: `inputs.x.shape: got [1, 3];
expected FP32[batch, 4]`.
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

_LISTED: Final = 20  # names in an error
AXES: Final = 64  # as many as NumPy has
_REMEMBERED: Final = 64  # signatures
_NO_SHARING: Final = "this server shares no memory with its clients; send the tensor in the request"
_REFUSED: Final = {
    "shared_memory_region": _NO_SHARING,
    "shared_memory_offset": _NO_SHARING,
    "shared_memory_byte_size": _NO_SHARING,
    "classification": "this server does not sort outputs into classes; take the largest of the output",
}


class Described(TensorSpec):
    """A TensorSpec that names its element type as the protocol does, where the protocol has a name."""

    __slots__ = ()

    @property
    def datatype(self) -> str:
        """Such as `FP32`."""
        return datatype(self) or super().datatype


class Tensor(NamedTuple):
    """An input or an output: its place in the signature, and its datatype, None where the protocol has none.

    `row` is the shape behind the first axis, where that axis may have any size and the others are fixed.
    """

    place: int
    spec: Described
    datatype: str | None
    row: tuple[int, ...] | None


class Wanted(NamedTuple):
    """An output that the caller wants: its place in the signature, and whether its answer is binary."""

    place: int
    binary: bool


class Interface:
    """What a model takes and gives, by name."""

    __slots__ = ("_absent", "_all", "_first", "inputs", "outputs", "places", "signature")

    def __init__(self, signature: Signature) -> None:
        self.signature = signature
        self.inputs = _by_name(signature.inputs)
        self.outputs = _by_name(signature.outputs)
        self.places = tuple(self.outputs.values())  # the outputs in the signature's order
        self._first = 1 if signature.fixed_batch else 0  # the number of rows is then looked at by the signature
        self._absent = as_array(None)
        self._all: dict[bool, Sequence[Wanted]] = {}  # outputs, by whether they are binary

    def input(self, index: int, name: object) -> Tensor:
        """The input of that name, which has a datatype; `index` is its place in the request. Raises `InvalidInput`."""
        found = _named("inputs", index, name, self.inputs)
        if found.datatype is None:
            expected = f"{found.spec.describe()}, which this protocol cannot carry; the predict API can"
            raise InvalidInput(f"inputs.{found.spec.name}", got="a tensor", expected=expected)
        return found

    def check_datatype(self, tensor: Tensor, given: object) -> None:
        """Raise `InvalidInput` where an input comes with another datatype than its own."""
        if given != tensor.datatype:
            field = f"inputs.{tensor.spec.name}.datatype"
            raise InvalidInput(field, got=show(given), expected=tensor.datatype or "")

    def check_shape(self, tensor: Tensor, shape: tuple[int, ...]) -> None:
        """Raise `InvalidInput` where the model cannot take an input of that shape."""
        if shape and shape[1:] == tensor.row and shape[0] >= 0:  # most inputs, in short
            return
        field = f"inputs.{tensor.spec.name}.shape"
        if len(shape) > AXES:
            raise InvalidInput(field, got=f"{len(shape)} axes", expected=f"at most {AXES}")
        if not fits(tensor.spec, shape, self._first) or (shape and min(shape) < 0):
            raise InvalidInput(field, got=str(list(shape)), expected=tensor.spec.describe())

    def in_order(self, found: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """The tensors in the signature's order; an optional one may be absent. Raises `InvalidInput`."""
        tensors = []
        for name, (_, spec, _, _) in self.inputs.items():
            tensor = found.get(name)
            if tensor is None:
                if spec.kind != "optional":
                    raise InvalidInput(f"inputs.{name}", got="nothing", expected=spec.describe())
                tensor = self._absent
            tensors.append(tensor)
        return tensors

    def output(self, index: int, name: object, *, binary: bool) -> Wanted:
        """The output of that name; `index` is its place in the request. Raises `InvalidInput`."""
        found = _named("outputs", index, name, self.outputs)
        self._check_output(found, binary=binary)
        return Wanted(found.place, binary)

    def all_outputs(self, *, binary: bool) -> Sequence[Wanted]:
        """All outputs. Raises `InvalidInput` where the protocol cannot carry one of them."""
        found = self._all.get(binary)
        if found is None:
            for each in self.outputs.values():
                self._check_output(each, binary=binary)
            found = self._all[binary] = [Wanted(place, binary) for place in range(len(self.outputs))]
        return found

    def _check_output(self, tensor: Tensor, *, binary: bool) -> None:
        field = f"outputs.{tensor.spec.name}"
        if tensor.datatype is None:
            others = _names(name for name, each in self.outputs.items() if each.datatype)
            expected = f"a tensor; ask for {others} alone" if others else "a tensor; the predict API answers this model"
            raise InvalidInput(field, got=tensor.spec.describe(), expected=expected)
        if tensor.datatype == "BF16" and not binary:
            raise InvalidInput(field, got="BF16 as JSON", expected='"binary_data": true, as BF16 has no form in JSON')


def check_once(index: int, wanted: Sequence[Wanted]) -> None:
    """Refuse the last output where it is wanted before: a small request would ask for any size of an answer."""
    place = wanted[-1].place
    if any(each.place == place for each in wanted[:-1]):
        raise InvalidInput(f"outputs[{index}].name", got="an output for the second time", expected="each output once")


def check_parameters(field: str, parameters: Iterable[str]) -> None:
    """Refuse what asks for another tensor, or for another place of it; what else a client states has no effect."""
    for name in parameters:
        if reason := _REFUSED.get(name):
            raise InvalidInput(f"{field}.{name}", got="a value", expected=f"none: {reason}")


def elements(shape: Sequence[int]) -> int:
    """How many elements a tensor of that shape has."""
    return math.prod(shape)


def of(signature: Signature) -> Interface:
    """The interface of that signature."""
    known = _interfaces.get(id(signature))  # an entry keeps its signature, so the number is not given twice
    if known is None:
        if len(_interfaces) >= _REMEMBERED:
            _interfaces.clear()
        known = _interfaces[id(signature)] = Interface(signature)
    return known


_interfaces: Final[dict[int, Interface]] = {}


def _by_name(specs: Iterable[TensorSpec]) -> dict[str, Tensor]:
    return {spec.name: Tensor(place, Described(*spec), datatype(spec), _row(spec)) for place, spec in enumerate(specs)}


def _row(spec: TensorSpec) -> tuple[int, ...] | None:
    return spec.row_shape if spec.shape and not isinstance(spec.shape[0], int) else None


def _named(field: str, index: int, name: object, known: Mapping[str, Tensor]) -> Tensor:
    found = known.get(name) if isinstance(name, str) else None
    if found is None:
        raise InvalidInput(f"{field}[{index}].name", got=show(name), expected=f"one of {_names(known)}")
    return found


def _names(names: Iterable[str]) -> str:
    return ", ".join(list(names)[:_LISTED])
