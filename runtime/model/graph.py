"""The facts of a model file's graph, read without its weights: operators, scalars, quantization steps.

    file -> mmap -> Model -> Graph -> Node, ValueInfo -> GraphFacts

ONNX Runtime does not list the operators, and returns `[]` both for the shape of a scalar and for an unknown rank. A
value that depends only on constants and shapes is *static*: an operator that reads only static values does not compute
on a caller's input. Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

import mmap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np

from runtime.protobuf import Buffer, Field, length_delimited, number

_ORT_MAGIC: Final = b"ORTM"  # at byte 4: ONNX Runtime's flatbuffer format
_GRAPH, _FUNCTION = 7, 25  # of Model
_NODE, _INITIALIZER, _INPUT, _OUTPUT, _SPARSE = 1, 5, 11, 12, 15  # of Graph
_FUNCTION_NAME, _FUNCTION_NODE, _FUNCTION_DOMAIN = 1, 7, 10
_WITH_SUBGRAPHS: Final = {"If", "Loop", "Scan", "SequenceMap"}
_OF_SHAPES: Final = {"Shape", "Size"}  # their outputs depend only on the shape of the input, not on its values
_RANDOM: Final = {"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial"}
# Operators that move elements or never increase the difference of two inputs, so that a quantization step stays valid.
_KEEP_STEP: Final = {
    *("Identity", "Reshape", "Squeeze", "Unsqueeze", "Flatten", "Transpose", "Slice", "Gather", "Cast"),
    *("Relu", "Sigmoid", "Tanh", "Softmax", "Clip"),
}
_FLOATS: Final[dict[int, np.dtype[np.floating[Any]]]] = {
    1: np.dtype("<f4"),
    10: np.dtype("<f2"),
    11: np.dtype("<f8"),
}  # TensorProto.DataType


class Operator(NamedTuple):
    """An operator's type. The domain of the ONNX standard is ""."""

    domain: str
    name: str

    def __str__(self) -> str:
        return f"{self.domain}.{self.name}" if self.domain else self.name


class Use(NamedTuple):
    """One operator that computes on a caller's input, and whether all its inputs after the first are static."""

    operator: Operator
    static_parameters: bool


class GraphFacts(NamedTuple):
    """The facts of a graph. `uses`, `functions` and `output_steps` are empty if it is not known."""

    known: bool  # False: the format cannot be read here, or the operators are compiled for an execution provider
    uses: frozenset[Use] = frozenset()
    functions: frozenset[Operator] = frozenset()  # defined in the model itself
    scalars: frozenset[str] = frozenset()  # inputs and outputs without axes
    unranked: frozenset[str] = frozenset()  # inputs and outputs whose rank is not in the file
    output_steps: Mapping[str, float] = {}  # output -> its quantization step, if a DequantizeLinear computes it

    @property
    def operators(self) -> frozenset[Operator]:
        """The types of all operators that compute on a caller's input."""
        return frozenset(use.operator for use in self.uses)


UNKNOWN: Final = GraphFacts(known=False)
_COMPILED: Final = Operator("com.microsoft", "EPContext")  # see compiled.py


class _Node(NamedTuple):
    operator: Operator
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: tuple[Field, ...]


def read_facts(path: Path) -> GraphFacts:
    """Read the graph of a model file; `UNKNOWN` if it is no ONNX protobuf (ONNX Runtime reports that error)."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as buffer:
            return facts_of(buffer)
    except (OSError, ValueError):
        return UNKNOWN


def is_ort_format(buffer: Buffer) -> bool:
    """Return whether a model file is in ONNX Runtime's own format, which only ONNX Runtime reads."""
    return buffer[4:8] == _ORT_MAGIC


def facts_of(buffer: Buffer) -> GraphFacts:
    """Return the facts of a serialized model. Raises ValueError for bytes that are not a protobuf message."""
    if is_ort_format(buffer):
        return UNKNOWN
    parts = list(length_delimited(buffer, 0, len(buffer)))
    uses: set[Use] = set()
    scalars: set[str] = set()
    unranked: set[str] = set()
    steps: dict[str, float] = {}
    functions = {_function(buffer, part, uses) for part in parts if part.number == _FUNCTION}
    for part in parts:
        if part.number == _GRAPH:
            graph = _Graph(buffer, part, frozenset())
            graph.collect(uses)
            _sort_by_rank(buffer, graph.values, scalars, unranked)
            steps = graph.output_steps()
    if any(use.operator == _COMPILED for use in uses):
        return GraphFacts(known=False, scalars=frozenset(scalars), unranked=frozenset(unranked))
    return GraphFacts(
        known=True,
        uses=frozenset(uses),
        functions=frozenset(functions),
        scalars=frozenset(scalars),
        unranked=frozenset(unranked),
        output_steps=steps,
    )


class _Graph:
    """The nodes of one graph, and its static values."""

    def __init__(self, buffer: Buffer, place: Field, outer: frozenset[str]) -> None:
        self._buffer = buffer
        self._initializers: list[Field] = []
        self._outputs: list[Field] = []
        self.values: list[Field] = []
        self.nodes: list[_Node] = []
        for part in length_delimited(buffer, place.start, place.end):
            if part.number == _NODE:
                self.nodes.append(_node(buffer, part))
            elif part.number == _INITIALIZER:
                self._initializers.append(part)
            elif part.number in {_INPUT, _OUTPUT}:
                self.values.append(part)
                if part.number == _OUTPUT:
                    self._outputs.append(part)
        self.static = set(outer)
        self.static.update(_text(buffer, _first(buffer, each, 8)) for each in self._initializers)

    def collect(self, uses: set[Use]) -> None:
        """Add every use of an operator on a value that is not static, including those in subgraphs."""
        for node in self.nodes:
            kind, inputs = node.operator.name, [each for each in node.inputs if each]
            subgraphs = list(_subgraphs(self._buffer, node)) if kind in _WITH_SUBGRAPHS else []
            fixed = kind in _OF_SHAPES or (kind not in _RANDOM and all(each in self.static for each in inputs))
            if fixed and not subgraphs:
                self.static.update(node.outputs)
                continue
            if not (kind == "If" and fixed):
                uses.add(Use(node.operator, all(each in self.static for each in inputs[1:])))
            for place in subgraphs:
                _Graph(self._buffer, place, frozenset(self.static)).collect(uses)

    def output_steps(self) -> dict[str, float]:
        """Return for each output the scale of the DequantizeLinear that computes it, if there is one."""
        producers = {output: node for node in self.nodes for output in node.outputs}
        found = {}
        for place in self._outputs:
            name = value = _text(self._buffer, _first(self._buffer, place, 1))
            while (node := producers.get(value)) and node.operator.name in _KEEP_STEP and node.inputs:
                value = node.inputs[0]
            if node and node.operator.name == "DequantizeLinear" and (step := self._largest(node.inputs[1])):
                found[name] = step
        return found

    def _largest(self, name: str) -> float | None:
        """Return the largest element of a float initializer in the file, or None."""
        for place in self._initializers:
            if _text(self._buffer, _first(self._buffer, place, 8)) == name:
                return _largest_float(self._buffer, place)
        return None


def _function(buffer: Buffer, place: Field, uses: set[Use]) -> Operator:
    """Add the uses in the body of a function that the model defines; return its name."""
    domain = name = ""
    for part in length_delimited(buffer, place.start, place.end):
        if part.number == _FUNCTION_NODE:
            node = _node(buffer, part)
            uses.add(Use(node.operator, static_parameters=False))
            for inner in _subgraphs(buffer, node) if node.operator.name in _WITH_SUBGRAPHS else ():
                _Graph(buffer, inner, frozenset()).collect(uses)
        elif part.number == _FUNCTION_NAME:
            name = _text(buffer, part)
        elif part.number == _FUNCTION_DOMAIN:
            domain = _text(buffer, part)
    return Operator(domain, name)


def _node(buffer: Buffer, place: Field) -> _Node:
    inputs: list[str] = []
    outputs: list[str] = []
    attributes: list[Field] = []
    kind = domain = ""
    for part in length_delimited(buffer, place.start, place.end):
        if part.number == 1:
            inputs.append(_text(buffer, part))
        elif part.number == 2:  # noqa: PLR2004 - numbers of NodeProto's fields, here and below
            outputs.append(_text(buffer, part))
        elif part.number == 4:  # noqa: PLR2004
            kind = _text(buffer, part)
        elif part.number == 5:  # noqa: PLR2004 - not parsed: the attributes of a tree ensemble have millions of fields
            attributes.append(part)
        elif part.number == 7:  # noqa: PLR2004
            domain = _text(buffer, part)
    domain = "" if domain == "ai.onnx" else domain
    return _Node(Operator(domain, kind), tuple(inputs), tuple(outputs), tuple(attributes))


def _subgraphs(buffer: Buffer, node: _Node) -> Iterator[Field]:
    for attribute in node.attributes:
        for part in length_delimited(buffer, attribute.start, attribute.end):
            if part.number in {6, 11}:
                yield part


def _sort_by_rank(buffer: Buffer, values: Iterable[Field], scalars: set[str], unranked: set[str]) -> None:
    """Add each tensor without axes to `scalars`, and each tensor without a shape to `unranked`."""
    for place in values:
        name = _text(buffer, _first(buffer, place, 1))
        kind = _first(buffer, place, 2)
        tensor = kind and _first(buffer, kind, 1)
        if not tensor:
            continue
        shape = _first(buffer, tensor, 2)
        if shape is None:
            unranked.add(name)
        elif shape.start == shape.end:
            scalars.add(name)


def _largest_float(buffer: Buffer, place: Field) -> float | None:
    dtype = _FLOATS.get(number(buffer, place.start, place.end, 2) or 0)
    raw, floats = _first(buffer, place, 9), _first(buffer, place, 4)
    data = raw or floats
    if dtype is None or data is None:
        return None
    content = bytes(buffer[data.start : data.end])
    values = np.frombuffer(content, dtype if raw else _FLOATS[1])
    return float(values.max(initial=0.0))


def _first(buffer: Buffer, place: Field, field: int) -> Field | None:
    return next((part for part in length_delimited(buffer, place.start, place.end) if part.number == field), None)


def _text(buffer: Buffer, place: Field | None) -> str:
    return bytes(buffer[place.start : place.end]).decode() if place else ""
