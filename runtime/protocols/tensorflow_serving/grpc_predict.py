"""PredictionService.Predict: TensorProtos by name, in requests and answers. Pure."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np

from runtime.errors import InvalidInput, RefusedInput
from runtime.model.signature import Signature
from runtime.predictor import ReadyModel
from runtime.protobuf import delimited, head
from runtime.protocols import outline
from runtime.protocols.tensorflow_serving import messages, tensor_proto
from runtime.protocols.tensorflow_serving.messages import NAME, HasZero
from runtime.tensors import Call, Prediction, Query, as_array

_INPUTS: Final = 2  # of PredictRequest
_KEY, _VALUE = 1, 2  # of an entry of a map


class Parts(NamedTuple):
    """A parsed request."""

    signature: str
    inputs: Mapping[str, Any]  # TensorProtos; of a large message, the memoryviews of serialized ones
    output_filter: Sequence[str]


class Predict:
    """The messages of the method Predict."""

    name = NAME

    def __init__(self, has_zero: HasZero, *, limit: int) -> None:
        """`limit` bounds the bytes of one input; see `tensor_proto.read`."""
        self._has_zero = has_zero
        self._limit = limit

    def decode(self, message: bytes | memoryview) -> Call:
        """Parse a PredictRequest. Raises `InvalidInput` and `RefusedInput`."""
        if len(message) <= outline.SMALL:
            request = messages.parsed("PredictRequest", message)
            inputs = dict(request.inputs.items())
        else:
            rest, spans = outline.outline(memoryview(message), {_INPUTS})
            request = messages.parsed("PredictRequest", rest)
            inputs = outline.entries("inputs", spans.get(_INPUTS, []))
        target = messages.target(request, self._has_zero)
        parts = Parts(target.signature, inputs, list(request.output_filter))
        return Call(target.name, target.version, parts)

    def bind(self, call: Call, model: ReadyModel) -> list[Query]:
        """Return one query; its form is the indices of the outputs. Raises `UnknownSignature` and as `_inputs` does."""
        parts: Parts = call.parts
        messages.check_signature(parts.signature)
        outputs = _selected(parts.output_filter, model.signature)
        return [Query(_inputs(parts.inputs, model.signature, self._limit), form=outputs)]

    def encode(
        self, queries: Sequence[Query], predictions: Sequence[Prediction], model: ReadyModel, *, latency: float
    ) -> list[bytes]:
        """Return one PredictResponse in pieces; the protocol has no field for `latency`."""
        del latency
        prediction = predictions[0]
        outputs: Sequence[int] = queries[0].form  # type: ignore[assignment] # `bind` sets it
        content: list[bytes] = []
        for place in outputs:
            content += _output(model.signature.outputs[place].name, prediction.outputs[place])
        return [*content, delimited(2, messages.model_spec(prediction.model, prediction.version))]


def _inputs(given: Mapping[str, Any], of: Signature, limit: int) -> list[np.ndarray]:
    """Return the tensors in the signature's order; an optional input is absent.

    Raises `RefusedInput` for wrong names, and `InvalidInput` for wrong tensors and for a model that needs other inputs.
    """
    for spec in of.inputs:
        if spec.containers and spec.kind != "optional":
            got = f"a model whose input {spec.name} is {spec.describe()}"
            expected = "a model whose inputs are all tensors; use the predict API for this one"
            raise InvalidInput("model_spec", got=got, expected=expected)
    names = [spec.name for spec in of.inputs if not spec.containers]
    if len(given) != len(names):
        raise RefusedInput(_sizes(sorted(given), sorted(names)), field="inputs")
    for name in given:
        if name not in names:
            known = ",".join(sorted(names))
            text = f"input tensor alias not found in signature: {name[:80]}. Inputs"
            raise RefusedInput(f"{text} expected to be in the set {{{known}}}.", field="inputs")
    return [
        as_array(None) if spec.containers else tensor_proto.read(spec.name, given[spec.name], spec, limit=limit)
        for spec in of.inputs
    ]


def _sizes(given: list[str], names: list[str]) -> str:
    """Return TensorFlow Serving's message; clients parse the missing names from it."""
    extra = [name for name in given if name not in names]
    missing = [name for name in names if name not in given]
    return (
        f"input size does not match signature: {len(given)}!={len(names)} len({_set(given)}) != len({_set(names)}). "
        f"Sent extra: {_set(extra)}. Missing but required: {_set(missing)}."
    )


def _set(names: list[str]) -> str:
    return f"{{{','.join(name[:80] for name in names[:50])}}}"


def _selected(output_filter: Sequence[str], of: Signature) -> list[int]:
    """Return the indices of the outputs that the caller selects. Raises `RefusedInput`, and `InvalidInput` for none."""
    places = {spec.name: place for place, spec in enumerate(of.outputs) if not spec.containers}
    if not output_filter:
        if not places:
            got = ", ".join(spec.describe() for spec in of.outputs)
            expected = "a model with at least one tensor as output; use the predict API for this one"
            raise InvalidInput("model_spec", got=f"a model with the outputs ({got})", expected=expected)
        return list(places.values())
    for place, name in enumerate(output_filter):
        if name not in places:
            known = ",".join(sorted(places))
            text = f"output tensor alias not found in signature: {name[:80]} Outputs"
            raise RefusedInput(f"{text} expected to be in the set {{{known}}}.", field="output_filter")
        if name in output_filter[:place]:
            raise RefusedInput(f"duplicate output tensor alias: {name}", field="output_filter")
    return [places[name] for name in output_filter]


def _output(name: str, array: np.ndarray) -> list[bytes]:
    """Return one entry of `outputs`, in pieces."""
    tensor = tensor_proto.write(array)
    size = sum(map(len, tensor))
    before = _key(name) + head(_VALUE, size)
    return [head(1, len(before) + size) + before, *tensor]


@lru_cache(1024)
def _key(name: str) -> bytes:
    return delimited(_KEY, name.encode())
