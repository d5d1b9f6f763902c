"""KServe's V1 protocol, for a process that does not serve TensorFlow Serving's: `POST /v1/models/{model}:predict`.

    {"instances": [VALUE, ...]}                    one input: the rows of its tensor
    {"instances": [{"a": VALUE, "b": VALUE}, ...]} an object for each row, with all inputs
    {"inputs": ...}                                the same; KServe's own model servers support it too

    {"predictions": [VALUE, ...]}                  a list of objects for a model with several outputs

null in a tensor of floats is NaN, in requests and in answers, as in the predict API.
Sources: KServe, "Data Plane (V1)", and its model server, kserve/protocol/rest/v1_endpoints.py.
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
_MANY: Final = 5000  # numbers: more are written in pieces, so that the event loop is not blocked


class KServeV1:
    """The translator of `:predict`."""

    name = NAME

    def decode(self, request: Request) -> Call:
        """Parse a small body at once. Raises `RefusedInput`."""
        try:
            document = json_tensors.load(request.body)
        except InvalidInput as fault:
            raise _unreadable(fault) from None
        return Call(request.parameters["model"], None, document)

    def decode_slices(self, request: Request) -> Generator[None, None, Call]:
        """Parse a body of any size in steps. Raises `RefusedInput`."""
        try:
            document = yield from slices.parse(request.body)
        except InvalidInput as fault:
            raise _unreadable(fault) from None
        return Call(request.parameters["model"], None, document)

    def bind(self, call: Call, model: ReadyModel) -> list[Query]:
        """Check the instances, and return one query. Raises `InvalidInput` and `RefusedInput`."""
        return [Query(tensors(call.parts, model.signature))]

    def encode(
        self, queries: Sequence[Query], predictions: Sequence[Prediction], model: ReadyModel, *, latency: float
    ) -> Answer:
        """Return the predictions, in pieces if they are large; the protocol has no field for `latency`."""
        del queries, latency
        return answer(predictions[0].outputs, model.signature)


def refuse(fault: ScalezeroError) -> Answer:
    """Return an error in KServe's form, with KServe's message for an unknown model and for one that is not ready."""
    text = fault.message
    if isinstance(fault, UnknownModel):
        text = f"Model with name {fault.details['model']} does not exist."
    elif isinstance(fault, ModelUnavailable):
        text = f"Model is not ready. {fault.message}"
    return Answer(TABLE[code_of(fault)].http, orjson.dumps({"error": text}), [JSON, *extra_headers(fault)])


def tensors(document: object, signature: Signature) -> list[np.ndarray]:
    """Return one array per input.

    Raises `InvalidInput` with the value that does not fit, and `RefusedInput` with a message of KServe.
    """
    if not isinstance(document, dict):
        raise InvalidInput("body", got=show(document), expected='an object with "instances"')
    key = _INPUTS if _INPUTS in document else _INSTANCES
    instances = document.get(key)
    if not isinstance(instances, (list, np.ndarray)):
        raise RefusedInput(f'Expected "{key}" to be a list')
    specs = [spec for spec in signature.inputs if spec.kind != "optional"]
    if any(spec.containers for spec in specs):
        expected = "a model whose inputs are all tensors; use the predict API for this one"
        raise InvalidInput(key, got="a model with sequences or maps as inputs", expected=expected)
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
    """Return the predictions, by rows if all outputs have the same number of rows.

    Outputs that are not tensors are omitted.
    """
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
            raise InvalidInput(f"{key}[{index}]", got=show(record), expected=f"an object, like {key}[0]")
        missing = next((spec for spec in specs if spec.name not in record), None)
        if missing is not None:
            raise InvalidInput(f"{key}[{index}].{missing.name}", got="nothing", expected=missing.describe())
    return [
        json_tensors.tensor(key, [record[spec.name] for record in instances], spec, after_first=f".{spec.name}")
        for spec in specs
    ]


def _unreadable(fault: InvalidInput) -> RefusedInput:
    return RefusedInput(f"Unrecognized request format: {fault.details['got']}")
