"""KServe's V1 protocol, for a process that serves it and not TensorFlow Serving's: `POST /v1/models/{model}:predict`.

    {"instances": [VALUE, ...]}                    one input: the rows of its tensor
    {"instances": [{"a": VALUE, "b": VALUE}, ...]} an object for each row, with all inputs
    {"inputs": ...}                                the same; KServe's own model servers take it too

    {"predictions": [VALUE, ...]}                  a list of objects for a model with several outputs

null in a tensor of floats is NaN, both ways, as in the predict API. Sources: KServe, "Data Plane (V1)", and its model
server, kserve/protocol/rest/v1_endpoints.py.
"""

from collections.abc import Generator, Iterator, Sequence
from typing import Any, Final

import numpy as np
import orjson

from runtime.errors import InvalidInput, ModelUnavailable, RefusedInput, ScalezeroError, UnknownModel
from runtime.http.messages import JSON, Answer, Request
from runtime.model.signature import Signature
from runtime.predictor import ReadyModel
from runtime.protocols.json import records, slices, writer
from runtime.protocols.json import tensors as json_tensors
from runtime.protocols.json.lists import show
from runtime.protocols.refusals import extra_headers
from runtime.status import TABLE, code_of
from runtime.tensors import STRING, Call, Prediction, Query, TensorSpec, as_array

NAME: Final = "kserve_v1"
_INSTANCES, _INPUTS, _PREDICTIONS = "instances", "inputs", "predictions"
_MANY: Final = 5000  # numbers: as JSON about as much as may be written at once


class KServeV1:
    """The translator of `:predict`."""

    name = NAME

    def decode(self, request: Request) -> Call:
        """Read a small body. Raises `RefusedInput`."""
        try:
            document = json_tensors.load(request.body)
        except InvalidInput as fault:
            raise _unreadable(fault) from None
        return Call(request.parameters["model"], None, document)

    def decode_slices(self, request: Request) -> Generator[None, None, Call]:
        """Read a body of any size. Raises `RefusedInput`."""
        try:
            document = yield from slices.parse(request.body)
        except InvalidInput as fault:
            raise _unreadable(fault) from None
        return Call(request.parameters["model"], None, document)

    def bind(self, call: Call, model: ReadyModel) -> list[Query]:
        """One query. Raises `InvalidInput` and `RefusedInput`."""
        return [Query(tensors(call.parts, model.signature))]

    def encode(
        self, queries: Sequence[Query], predictions: Sequence[Prediction], model: ReadyModel, *, latency: float
    ) -> Answer:
        """The predictions, in pieces where they are large; the protocol has no place for `latency`."""
        del queries, latency
        return answer(predictions[0].outputs, model.signature)


def refuse(fault: ScalezeroError) -> Answer:
    """An error in KServe's form and, where its clients know them, in its words."""
    text = fault.message
    if isinstance(fault, UnknownModel):
        text = f"Model with name {fault.details['model']} does not exist."
    elif isinstance(fault, ModelUnavailable):
        text = f"Model is not ready. {fault.message}"
    return Answer(TABLE[code_of(fault)].http, orjson.dumps({"error": text}), [JSON, *extra_headers(fault)])


def tensors(document: object, signature: Signature) -> list[np.ndarray]:
    """One array per input. Raises `InvalidInput` naming what does not fit, and `RefusedInput` in KServe's words."""
    if not isinstance(document, dict):
        raise InvalidInput("body", got=show(document), expected='an object with "instances"')
    key = _INPUTS if _INPUTS in document else _INSTANCES
    instances = document.get(key)
    if not isinstance(instances, (list, np.ndarray)):
        raise RefusedInput(f'Expected "{key}" to be a list')
    specs = [spec for spec in signature.inputs if spec.kind != "optional"]
    if any(spec.containers for spec in specs):
        raise InvalidInput(key, got="tensors", expected="a model that takes tensors alone; use the predict API")
    if len(instances) and isinstance(instances[0], dict):
        found = _columns(key, instances, specs)
    elif len(specs) == 1:
        found = [json_tensors.tensor(key, instances, specs[0])]
    else:
        names = ", ".join(spec.name for spec in specs)
        raise InvalidInput(key, got="a plain list", expected=f"a list of objects with {names}")
    arrays = iter(found)
    return [as_array(None) if spec.containers else next(arrays) for spec in signature.inputs]


def answer(outputs: Sequence[np.ndarray], signature: Signature) -> Answer:
    """The predictions of tensors, by rows where all outputs have as many; what is no tensor is left out."""
    named = {
        spec.name: np.asarray(json_tensors.plain(array)) if array.dtype != STRING else array
        for spec, array in zip(signature.outputs, outputs, strict=True)
        if not spec.containers
    }
    pieces = _pieces(named)
    return Answer(200, pieces if any(map(_is_large, named.values())) else b"".join(pieces))


def _pieces(named: dict[str, np.ndarray]) -> Iterator[bytes]:
    if len(named) == 1:
        return writer.dump({_PREDICTIONS: next(iter(named.values()))})
    lengths = {array.shape[:1] for array in named.values()}
    if len(lengths) == 1 and () not in lengths:
        return records.dump(_PREDICTIONS, named)
    return writer.dump({_PREDICTIONS: named})


def _is_large(array: np.ndarray) -> bool:
    return array.size > _MANY or (array.dtype == STRING and writer.size_hint(array) > writer.PIECE)


def _columns(key: str, instances: Sequence[Any] | np.ndarray, specs: Sequence[TensorSpec]) -> list[np.ndarray]:
    for index, record in enumerate(instances):
        if not isinstance(record, dict):
            raise InvalidInput(f"{key}[{index}]", got=show(record), expected=f"an object, as {key}[0] is")
        missing = next((spec for spec in specs if spec.name not in record), None)
        if missing is not None:
            raise InvalidInput(f"{key}[{index}].{missing.name}", got="nothing", expected=missing.describe())
    return [
        json_tensors.tensor(key, [record[spec.name] for record in instances], spec, behind_first=f".{spec.name}")
        for spec in specs
    ]


def _unreadable(fault: InvalidInput) -> RefusedInput:
    return RefusedInput(f"Unrecognized request format: {fault.details['got']}")
