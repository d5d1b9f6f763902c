"""The inputs of a model in the data of an event. Pure.

    JSON      {"inputs": ...} of the predict API, {"instances": [...]} of KServe V1, {"inputs": [{"name", "shape",
              "datatype", "data"}]} of the Open Inference Protocol, or the inputs alone (`input_forms`)
    bytes     one tensor (`octets`)

Data without a type is bytes if an attribute describes a tensor, and JSON otherwise: Knative's Broker omits the type of
JSON data. The answer to every form is that of the predict API: the form of each query is an `input_forms.Form`.
"""

from collections.abc import Generator
from typing import Any, Final, NamedTuple

import numpy as np

from runtime.errors import BadEvent, InvalidInput, UnsupportedContentType
from runtime.model.signature import Signature
from runtime.protocols import input_forms
from runtime.protocols.cloudevents import octets
from runtime.protocols.cloudevents.event import NO_DOCUMENT, Event, is_json
from runtime.protocols.json import slices
from runtime.protocols.json import tensors as json_tensors
from runtime.protocols.json.lists import show
from runtime.tensors import Query, TensorSpec, as_array

_JSON: Final = "application/json"
_TENSOR: Final = frozenset({"name", "shape", "datatype"})  # members of a tensor of the Open Inference Protocol
_TENSORS_FIELDS: Final = frozenset({"inputs", "id", "parameters", "outputs"})  # members of its document
_SUPPORTED: Final = (b"application/json", *octets.TYPES)


class Data(NamedTuple):
    """The data of an event, parsed."""

    event: Event
    document: Any  # a JSON value, or NO_DOCUMENT for bytes
    text: bytes | None = None  # the JSON text if it is small, for faster checks


def load(event: Event) -> Data:
    """Parse small data at once.

    Raises `InvalidInput` for invalid JSON, `BadEvent` for no data, and `UnsupportedContentType`.
    """
    data = event.data
    if not (data and event.content_type == _JSON):  # most events need no further check
        if event.has_document:
            return Data(event, event.document)
        if not _holds_json(event):
            return Data(event, NO_DOCUMENT)
    try:
        return Data(event, json_tensors.load(data), data)
    except InvalidInput as fault:
        raise _in_data(fault) from None


def load_slices(event: Event) -> Generator[None, None, Data]:
    """Parse data of any size, as `load` does, in steps of a few milliseconds."""
    if event.has_document:
        return Data(event, event.document)
    if not _holds_json(event):
        return Data(event, NO_DOCUMENT)
    try:
        return Data(event, (yield from slices.parse(event.data)))
    except InvalidInput as fault:
        raise _in_data(fault) from None


def bind(data: Data, signature: Signature) -> Query:
    """Return the query of the inputs.

    Raises `InvalidInput` with the field, the received value and the expected one, and `BadEvent` for an attribute that
    describes a tensor.
    """
    document = data.document
    if document is NO_DOCUMENT:
        return octets.bind(data.event, signature)
    if isinstance(document, dict):
        if "inputs" in document:
            return _inputs(document, signature, data.text)
        if "instances" in document and not any(spec.name == "instances" for spec in signature.inputs):
            _check_members(document, "instances")
            return input_forms.bind(_rows(document["instances"]), signature, body=data.text)
    elif not isinstance(document, (list, np.ndarray)):
        raise InvalidInput("data", got=show(document), expected='an object with "inputs", or the inputs')
    return input_forms.bind(document, signature, body=data.text, keys=0)


def _holds_json(event: Event) -> bool:
    """Return whether the data is JSON text; otherwise it is a tensor.

    Raises `BadEvent` and `UnsupportedContentType`.
    """
    if not event.data:
        raise BadEvent("data", got="nothing", expected="the inputs of the model, as JSON or as the bytes of a tensor")
    if is_json(event.content_type):
        return True
    if octets.is_tensor(event):
        return False
    if event.content_type is None:
        return True
    raise UnsupportedContentType(event.content_type.encode(errors="replace"), _SUPPORTED)


def _in_data(fault: InvalidInput) -> InvalidInput:
    return InvalidInput("data", got=str(fault.details["got"]), expected=str(fault.details["expected"]))


def _inputs(document: dict[str, Any], signature: Signature, text: bytes | None) -> Query:
    inputs = document["inputs"]
    if isinstance(inputs, list) and inputs and isinstance(inputs[0], dict) and inputs[0].keys() >= _TENSOR:
        return _tensors(document, inputs, signature)
    _check_members(document, "inputs")
    return input_forms.bind(inputs, signature, body=text)


def _check_members(document: dict[str, Any], only: str) -> None:
    if len(document) == 1:
        return
    other = next((name for name in document if name != only), None)
    if other is not None:
        raise InvalidInput(f"data.{show(other)}", got="an unknown field", expected=f'only "{only}"')


def _rows(instances: object) -> list[Any] | np.ndarray:
    if not isinstance(instances, (list, np.ndarray)):
        raise InvalidInput("instances", got=show(instances), expected="a list")
    return instances


def _tensors(document: dict[str, Any], items: list[Any], signature: Signature) -> Query:
    """Return the query of the tensors of the Open Inference Protocol, as JSON."""
    other = next((name for name in document if name not in _TENSORS_FIELDS), None)
    if other is not None:
        raise InvalidInput(f"data.{show(other)}", got="an unknown field", expected=", ".join(sorted(_TENSORS_FIELDS)))
    named: dict[str, dict[str, Any]] = {}
    for index, item in enumerate(items):
        name = item.get("name") if isinstance(item, dict) else None
        if not isinstance(name, str) or name in named:
            raise InvalidInput(f"inputs[{index}]", got=show(item), expected="an object with a name that no other has")
        named[name] = item
    input_forms.check_names(named, signature, "inputs")
    arrays = [_tensor(named[spec.name], spec) if spec.name in named else as_array(None) for spec in signature.inputs]
    return Query(arrays, form=input_forms.Form(one_row=False, by_name=True))


def _tensor(item: dict[str, Any], spec: TensorSpec) -> np.ndarray:
    field = f"inputs.{spec.name}"
    octets.check_datatype(f"{field}.datatype", item.get("datatype"), spec)
    shape = octets.shape_of(f"{field}.shape", item.get("shape"))
    array = json_tensors.tensor(f"{field}.data", item.get("data"), spec._replace(shape=None, containers=()))
    return octets.shaped(field, array, shape)
