"""Whether a model computes with strings anywhere: in its inputs, outputs, weights, or inside its graph. Pure.

OpenVINO 2026.4 ends the process, or answers wrongly, for some models with strings, so none is opened on it. This module
reads the declared types, the tensors in the file, casts to strings, and the attributes of ai.onnx.ml (class labels).
Field numbers: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from runtime.model.header import text_of
from runtime.protobuf import Buffer, Field, length_delimited, number

_STRING: Final = 8  # of TensorProto.DataType
_GRAPH, _FUNCTION = 7, 25  # of Model
_BODY: Final = 7  # of Function: its nodes
_NODE, _INITIALIZER, _INPUT, _OUTPUT, _VALUE_INFO = 1, 5, 11, 12, 13  # of Graph
_OPERATOR, _ATTRIBUTE, _DOMAIN = 4, 5, 7  # of Node
_I, _S, _T, _G, _STRINGS, _GRAPHS = 3, 4, 5, 6, 9, 11  # of Attribute
_TYPE, _DATA_TYPE = 2, 2  # of ValueInfo, of TensorProto
_TENSOR, _SEQUENCE, _MAP, _OPTIONAL = 1, 4, 5, 9  # of Type
_ELEMENT, _MAP_VALUE = 1, 2  # of these: an element type, or a Type
_CLASSICAL: Final = "ai.onnx.ml"


def uses_strings(path: Path) -> bool:
    """Return whether a model file contains strings; False for a file that is not read here. Raises OSError."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as buffer:
            return any(_in_graph_or_function(buffer, part) for part in length_delimited(buffer, 0, len(buffer)))
    except ValueError:  # ONNX Runtime reports what is wrong with the file
        return False


def _in_graph_or_function(buffer: Buffer, part: Field) -> bool:
    if part.number == _FUNCTION:  # ONNX Runtime puts its nodes into the graph
        return any(_in_node(buffer, node) for node in _parts(buffer, part.start, part.end, _BODY))
    return part.number == _GRAPH and _in_graph(buffer, part)


def _in_graph(buffer: Buffer, graph: Field) -> bool:
    for part in length_delimited(buffer, graph.start, graph.end):
        if part.number == _NODE:
            found = _in_node(buffer, part)
        elif part.number == _INITIALIZER:
            found = number(buffer, part.start, part.end, _DATA_TYPE) == _STRING
        elif part.number in {_INPUT, _OUTPUT, _VALUE_INFO}:
            found = _is_declared(buffer, part)
        else:
            continue
        if found:
            return True
    return False


def _is_declared(buffer: Buffer, value: Field) -> bool:
    return any(_in_type(buffer, kind) for kind in _parts(buffer, value.start, value.end, _TYPE))


def _in_type(buffer: Buffer, kind: Field) -> bool:
    for part in length_delimited(buffer, kind.start, kind.end):
        if part.number in {_TENSOR, _MAP} and number(buffer, part.start, part.end, _ELEMENT) == _STRING:
            return True
        inner = {_SEQUENCE: _ELEMENT, _OPTIONAL: _ELEMENT, _MAP: _MAP_VALUE}.get(part.number)
        if inner and any(_in_type(buffer, each) for each in _parts(buffer, part.start, part.end, inner)):
            return True
    return False


def _in_node(buffer: Buffer, node: Field) -> bool:
    operator = domain = ""
    attributes: list[Field] = []
    for part in length_delimited(buffer, node.start, node.end):
        if part.number == _OPERATOR:
            operator = text_of(buffer, part)
        elif part.number == _DOMAIN:
            domain = text_of(buffer, part)
        elif part.number == _ATTRIBUTE:
            attributes.append(part)
    return any(_in_attribute(buffer, each, operator, domain) for each in attributes)


def _in_attribute(buffer: Buffer, attribute: Field, operator: str, domain: str) -> bool:
    for part in length_delimited(buffer, attribute.start, attribute.end):
        if part.number in {_G, _GRAPHS} and _in_graph(buffer, part):
            return True
        if part.number == _T and number(buffer, part.start, part.end, _DATA_TYPE) == _STRING:
            return True
        if part.number in {_S, _STRINGS} and operator == "Constant":
            return True
        if part.number == _STRINGS and domain == _CLASSICAL:
            return True
    return operator == "Cast" and number(buffer, attribute.start, attribute.end, _I) == _STRING


def _parts(buffer: Buffer, start: int, end: int, field: int) -> Iterator[Field]:
    return (part for part in length_delimited(buffer, start, end) if part.number == field)
