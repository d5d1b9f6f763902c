"""The predict API, `POST /api/v1/models/{model_name}/predict`, as the user's APIDefinition ml-inference-api has it.

    {"inputs": [0.1, 0.2, ...]}             one row            -> "outputs": [0.93]
    {"inputs": [[0.1, ...], [0.7, ...]]}    rows               -> "outputs": [[0.93], [0.02]]
    {"inputs": {"a": ..., "b": ...}}        tensors by name    -> "outputs": {"score": ...}
    {"inputs": [{"a": ..., "b": ...}, ...]} records            -> "outputs": {"score": ...}

The answer mirrors the form of the request. A model with several outputs answers by name in every form. `input_forms`
reads the inputs, and `row_forms` lists the forms that a tensor may have.
"""

from collections.abc import Generator, Sequence
from typing import Any, Final

import numpy as np

from runtime.errors import InvalidInput
from runtime.http.messages import Answer, Request
from runtime.model.signature import Signature
from runtime.predictor import ReadyModel
from runtime.protocols import input_forms, row_forms
from runtime.protocols.json import slices, writer
from runtime.protocols.json import tensors as json_tensors
from runtime.protocols.json.lists import show
from runtime.tensors import Call, Prediction, Query

NAME: Final = "predict"
_ECHOED: Final = 60  # characters of a name that an error repeats


class PredictApi:
    """The translator of the predict API."""

    name = NAME

    def decode(self, request: Request) -> Call:
        """Read a small body. Raises `InvalidInput`."""
        return Call(request.parameters["model"], None, (json_tensors.load(request.body), request.body))

    def decode_slices(self, request: Request) -> Generator[None, None, Call]:
        """Read a body of any size. Raises `InvalidInput`."""
        document = yield from slices.parse(request.body)
        return Call(request.parameters["model"], None, (document, None))

    def bind(self, call: Call, model: ReadyModel) -> list[Query]:
        """One query. Raises `InvalidInput`."""
        document, body = call.parts
        return [bind(document, model.signature, body=body)]

    def encode(
        self, queries: Sequence[Query], predictions: Sequence[Prediction], model: ReadyModel, *, latency: float
    ) -> Answer:
        """The answer, in pieces where it is large; `latency` in seconds."""
        prediction = predictions[0]
        document = answer(queries[0], prediction, model.signature, latency=latency)
        if writer.is_large(prediction.outputs):
            return Answer(200, writer.dump(document))
        return Answer(200, json_tensors.dump(document))


def parse(body: bytes, signature: Signature) -> Query:
    """Read a request body. Raises `InvalidInput` naming the field, what came and what would be right."""
    document = json_tensors.load(body)
    return bind(document, signature, body=body)


def bind(document: object, signature: Signature, *, body: bytes | None = None) -> Query:
    """The query of a parsed body, whose large arrays may be NumPy's already; `body` allows for quicker looks.

    Raises `InvalidInput` as `parse` does.
    """
    return input_forms.bind(_inputs_of(document), signature, body=body)


def render(query: Query, prediction: Prediction, signature: Signature, *, latency: float) -> bytes:
    """The answer's body; `latency` in seconds."""
    return json_tensors.dump(answer(query, prediction, signature, latency=latency))


def answer(query: Query, prediction: Prediction, signature: Signature, *, latency: float) -> dict[str, Any]:
    """The answer as a document of JSON values and arrays; `latency` in seconds."""
    return {
        "model_name": prediction.model,
        "model_version": prediction.version,
        "outputs": _outputs(query, prediction.outputs, signature),
        "latency_ms": round(latency * 1e6) / 1e3,
    }


def _outputs(query: Query, outputs: Sequence[np.ndarray], signature: Signature) -> Any:  # noqa: ANN401 - any JSON value
    """The outputs in the form of the request."""
    form: input_forms.Form = query.form  # type: ignore[assignment] # what `bind` has set
    one_row = form.one_row
    if len(outputs) == 1 and not form.by_name:
        array = outputs[0]  # a row of a rank-1 output is a number, and answered as a list of it
        return json_tensors.plain(
            row_forms.row(array, signature.row_outputs[0]) if one_row and array.ndim > 1 else array
        )
    rows = map(row_forms.row, outputs, signature.row_outputs) if one_row else outputs
    return {spec.name: json_tensors.plain(each) for spec, each in zip(signature.outputs, rows, strict=True)}


def _inputs_of(document: object) -> object:
    if isinstance(document, dict) and "inputs" in document and len(document) == 1:
        return document["inputs"]
    if not isinstance(document, dict):
        raise InvalidInput("body", got=show(document), expected='an object with "inputs"')
    other = next((name for name in document if name != "inputs"), None)
    if "inputs" not in document:
        came = "an empty object" if other is None else f"an object with {show(other)}"
        raise InvalidInput("inputs", got=came, expected='an object with "inputs"')
    raise InvalidInput(str(other)[:_ECHOED], got="an unknown field", expected='"inputs" alone')
